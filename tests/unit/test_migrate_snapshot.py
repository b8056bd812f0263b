"""How long a copy's snapshot is held, and when a copy can go on under it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from naru.journal import Journal, Run
from naru.migrate import snapshot
from naru.migrate.names import Names
from naru.migrate.record import Record
from naru.migrate.sides import Side
from naru.migrate.snapshot import Found, Held, Keeping, too_long, why_lost
from naru.postgres import Dsn

HELD = Held(batch=1, name="0000-1", since=1000.0, process=4711, keeping=Keeping(1800.0, 3600.0))


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    with Journal.in_folder(tmp_path) as journal:
        yield journal.begin("migrate", "app")


@pytest.mark.parametrize(
    ("keeping", "age", "alone", "words"),
    [
        (Keeping(), 86400 * 30, None, None),
        (Keeping(), 10, 1799.9, None),
        (Keeping(), 1800, 1800.0, "--keep-snapshot-for"),
        (Keeping(0.0), 1, None, None),
        (Keeping(0.0), 1, 0.0, "--keep-snapshot-for"),
        (Keeping(longest=3600.0), 3599, None, None),
        (Keeping(longest=3600.0), 3600, None, "--longest-snapshot"),
        (Keeping(longest=3600.0), 3600, 1800.0, "--longest-snapshot"),
    ],
)
def test_a_snapshot_is_given_back_at_its_bounds(
    keeping: Keeping, age: float, alone: float | None, words: str | None
) -> None:
    reason = too_long(keeping, age=age, alone=alone)
    assert (reason is None) == (words is None)
    assert words is None or words in (reason or "")


@pytest.mark.parametrize(
    ("held", "found", "words"),
    [
        (HELD, Found(is_there=True, has_slot=True, age=100), None),
        (HELD, Found(is_there=False, has_slot=True, age=100), "process 4711"),
        (HELD, Found(is_there=True, has_slot=False, age=100), "slot is gone"),
        (HELD, Found(is_there=True, has_slot=True, age=3600), "--longest-snapshot"),
    ],
)
def test_a_copy_goes_on_only_under_a_snapshot_that_can_be_seen(
    held: Held, found: Found, words: str | None
) -> None:
    reason = why_lost(held, found)
    assert (reason is None) == (words is None)
    assert words is None or words in (reason or "")


def test_what_the_keeper_said_counts_before_what_is_seen(run: Run) -> None:
    snapshot.note(run, 2, "0000-2", 1000.0, 4711)
    snapshot.note_over(run, "nobody came")
    held = snapshot.recall(run)
    assert held is not None
    assert why_lost(held, Found(is_there=False, has_slot=False, age=5)) == "nobody came"
    assert [one.text for one in run.events("snapshot.over")] == [
        "the copy's snapshot was given back: nobody came"
    ]


def test_what_is_noted_is_recalled_until_it_is_forgotten(run: Run) -> None:
    assert snapshot.recall(run) is None
    record = Record(run, Names("app"), *(Side.of(one, Dsn({})) for one in ("source", "target")))
    snapshot.set_keeping(record, 60.0, 7200.0)
    snapshot.set_keeping(record, None, None)
    snapshot.note(run, 1, "0000-1", 1000.0, 4711)
    snapshot.note_alone(run, 1234.0)
    assert snapshot.recall(run) == Held(1, "0000-1", 1000.0, 4711, Keeping(60.0, 7200.0), 1234.0)
    snapshot.note_alone(run, None)
    snapshot.note_over(run, "too old")
    assert snapshot.recall(run) == Held(
        1, "0000-1", 1000.0, 4711, Keeping(60.0, 7200.0), None, "too old"
    )
    snapshot.note(run, 2, "0000-2", 2000.0, 4712)
    assert snapshot.recall(run) == Held(2, "0000-2", 2000.0, 4712, Keeping(60.0, 7200.0))
    snapshot.forget(run)
    assert snapshot.recall(run) is None
    snapshot.set_keeping(record, 0.0, 0.0)
    assert snapshot.keeping_of(run) == Keeping(0.0, None)
