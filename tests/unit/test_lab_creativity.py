"""The content's plan adds up, and business changes are drawn as they are weighted."""

from __future__ import annotations

from importlib import resources

import pytest

from naru.errors import UsageError
from naru.lab import creativity
from naru.lab.creativity.plan import CHUNK, chunks, paragraphs, rounds, sizes
from naru.lab.creativity.roles import check_passwords


def test_the_default_scale_has_two_million_rows() -> None:
    assert sum(sizes(1.0).values()) >= 2_000_000
    assert len(sizes(1.0)) >= 16


@pytest.mark.parametrize("scale", [0.001, 0.01, 0.37, 1.0, 20.0])
def test_chunks_cover_every_row_exactly_once(scale: float) -> None:
    rows = sizes(scale)
    pieces = chunks(rows)
    assert all(piece.last - piece.first < CHUNK for piece in pieces)
    for table, count in rows.items():
        mine = sorted((piece.first, piece.last) for piece in pieces if piece.table == table)
        ends = [0, *(last for _, last in mine)]
        assert [first for first, _ in mine] == [end + 1 for end in ends[:-1]]
        assert ends[-1] == count


def test_the_costly_chunks_come_first() -> None:
    costs = [piece.cost for piece in chunks(sizes(1.0))]
    assert costs == sorted(costs, reverse=True)


@pytest.mark.parametrize("scale", [0.001, 0.01, 1.0, 1000.0])
def test_tables_that_hang_together_scale_together(scale: float) -> None:
    rows = sizes(scale)
    assert rows["inventory"] == rows["products"]
    assert rows["price_history"] == 4 * rows["products"]
    assert rows["project_tags"] == 2 * rows["projects"]
    assert rows["thumbnails"] <= rows["projects"]
    assert rounds(rows) * rows["users"] >= rows["user_projects"]
    assert rounds(rows) <= rows["projects"]
    assert max(rows.values()) < 2**31


@pytest.mark.parametrize("scale", [0.0, -1.0, 0.0001, 1001.0, float("nan")])
def test_a_scale_out_of_bounds_is_refused(scale: float) -> None:
    with pytest.raises(UsageError, match="out of bounds"):
        sizes(scale)


def test_every_planned_table_has_its_content_file() -> None:
    folder = resources.files(creativity).joinpath("sql", "content")
    present = {file.name for file in folder.iterdir()}
    assert present == {f"{table}.sql" for table in sizes(1.0)} | {"small_tables.sql"}


def test_paragraphs_of_comments_alone_are_left_out() -> None:
    assert paragraphs("-- only words\n\nSELECT 1;\n\n-- why\nSELECT 2;\n") == [
        "SELECT 1;",
        "-- why\nSELECT 2;",
    ]


@pytest.mark.parametrize("roles", [[], ["app_user"], ["app_user", "web_user", "postgres"]])
def test_passwords_are_needed_for_exactly_the_login_roles(roles: list[str]) -> None:
    with pytest.raises(UsageError, match="passwords") as caught:
        check_passwords(dict.fromkeys(roles, "not-to-be-shown-1"))
    assert "not-to-be-shown-1" not in str(caught.value)
