"""Which moves count as tested."""

from __future__ import annotations

import pytest

from naru.migrate.versions import SOURCES, TARGETS, is_tested, proven_moves


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("target", TARGETS)
def test_every_pair_that_is_played_counts_unless_it_leads_back(source: int, target: int) -> None:
    assert is_tested(source, target) == (target >= source)


@pytest.mark.parametrize(
    ("source", "target", "counts"),
    [(12, 17, False), (14, 16, True), (16, 18, True), (18, 18, True), (13, 15, False),
     (18, 19, False)],
)  # fmt: skip
def test_what_lies_between_counts_and_what_lies_outside_does_not(
    source: int, target: int, counts: bool
) -> None:
    assert is_tested(source, target) is counts


def test_the_words_name_every_version_that_is_played() -> None:
    assert proven_moves() == "from PostgreSQL 13, 15 and 17 to 16, 17 and 18"
