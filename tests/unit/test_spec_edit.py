"""A number is written into naru.toml, and every other character stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from naru.errors import UsageError
from naru.spec import edit_spec, load

SERVICE = "[service]\n# how many\nmembers = 3   # as agreed\nport = 2866\n\n[source]\nport = 5432\n"


def edited(tmp_path: Path, text: str, **values: int | tuple[int, ...]) -> str:
    path = tmp_path / "naru.toml"
    path.write_text(text)
    edit_spec(path, "service", values)
    load(path)
    return path.read_text()


def test_a_value_changes_in_its_line_and_the_comment_stays(tmp_path: Path) -> None:
    assert edited(tmp_path, SERVICE, members=2) == SERVICE.replace("members = 3 ", "members = 2 ")


def test_a_key_that_is_missing_comes_into_its_table(tmp_path: Path) -> None:
    text = edited(tmp_path, SERVICE, etcd_members=3)
    assert text == SERVICE.replace("[service]\n", "[service]\netcd_members = 3\n")


def test_a_key_comes_after_the_comment_that_shows_its_default(tmp_path: Path) -> None:
    text = "[service]\n\n# Allowed: 1, 3.\n# etcd_members = 1\n\n[traffic]\npool_size = 9\n"
    assert "# etcd_members = 1\netcd_members = 3\n\n[traffic]" in edited(
        tmp_path, text, etcd_members=3
    )


@pytest.mark.parametrize(
    "text",
    ["", "[source]\nport = 5432\n", "service.members = 4\n", "service = { members = 4 }\n",
     "[service]", '["service"]\nmembers = 4\n'],
)  # fmt: skip
def test_it_is_written_however_the_file_says_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "naru.toml"
    path.write_text(text)
    edit_spec(path, "service", {"members": 2})
    assert load(path).service.members == 2


def test_a_list_of_numbers_is_replaced_as_a_whole(tmp_path: Path) -> None:
    text = edited(tmp_path, "[service]\nskip_members = [1, 2] # gone\n", skip_members=(3,))
    assert text == "[service]\nskip_members = [3] # gone\n"


def test_what_cannot_be_changed_alone_is_left_and_said(tmp_path: Path) -> None:
    path = tmp_path / "naru.toml"
    text = "[service]\nskip_members = [\n  1,\n]\n"
    path.write_text(text)
    with pytest.raises(UsageError, match="cannot be changed"):
        edit_spec(path, "service", {"skip_members": (2,)})
    assert path.read_text() == text
