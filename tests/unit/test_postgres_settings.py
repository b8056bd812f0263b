"""What a setting is set to, read from the catalogs as the server keeps it."""

from __future__ import annotations

import pytest

from naru.postgres import setting_values


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('"$user", public', ["$user", "public"]),
        ('"Odd, ""one", App', ['Odd, "one', "app"]),
        ("one", ["one"]),
        ("", [""]),
        ('""', [""]),
    ],
)
def test_lists_of_names_are_taken_apart_as_the_server_does(text: str, names: list[str]) -> None:
    assert setting_values("search_path", text) == names


def test_what_is_no_list_of_names_is_one_value() -> None:
    assert setting_values("datestyle", "ISO, DMY") == ["ISO, DMY"]
