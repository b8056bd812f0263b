"""A library that is not installed is found before a server is told to load it."""

from __future__ import annotations

from pathlib import Path

import pytest

from naru.postgres import (
    Installation,
    find_installations,
    missing_libraries,
    wrong_values,
)


@pytest.mark.parametrize("installation", find_installations(), ids=str)
def test_what_is_there_and_what_is_not(installation: Installation) -> None:
    assert missing_libraries(installation, "") == ()
    assert missing_libraries(installation, 'auto_explain, "$libdir/pg_stat_statements"') == ()
    assert missing_libraries(installation, "auto_explain, nosuch,/no/such") == (
        "nosuch",
        "/no/such",
    )


@pytest.mark.parametrize("installation", find_installations(), ids=str)
def test_it_is_a_wrong_value_though_postgresql_takes_the_name(installation: Installation) -> None:
    found = wrong_values(installation, {"shared_preload_libraries": "nosuch", "work_mem": "4MB"})
    assert list(found) == ["shared_preload_libraries"]
    assert "no library nosuch is installed with PostgreSQL" in found["shared_preload_libraries"]


def test_a_library_may_be_named_by_its_path(tmp_path: Path) -> None:
    installation = find_installations()[-1]
    (tmp_path / "mine.so").touch()
    value = f"{tmp_path}/mine, {tmp_path}/mine.so, {tmp_path}/other"
    assert missing_libraries(installation, value) == (f"{tmp_path}/other",)


def test_where_nothing_tells_the_folder_nothing_is_missing(tmp_path: Path) -> None:
    unknown = Installation((15, 1), tmp_path / "bin", "setting")
    assert missing_libraries(unknown, "nosuch") == ()
