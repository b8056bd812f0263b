"""Telling a difference from a change on its way, while replication runs: pure decisions.

A row is looked at in rounds. In each the source is read, the target then replays past the
position of that read, and the target is read. Two consecutive rounds decide:

- the source had the same row version before and after the target was read: the target,
  having replayed the first read, reflects a position at which the source had exactly that
  row. Whatever else it shows is a difference;
- the target had the same row version before and after the source was read, and had
  replayed that read by the second look: at the position of the read it had exactly that
  row. If the source did not, it is a difference;
- the target, having replayed the source's read, showed what was read then or until just
  after: the two were equal at a moment, so that a row which hardly rests is settled as well;
- anything else is pending.

A transaction can be seen at the target before it is at the source: between its commit
record and its end a committing backend may wait, for a synchronous standby even for long. So a
round makes a difference only if it is settled: when its source was read, all that had been
running as the target was read before had ended, or was not committing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from naru.postgres import Lsn

_SHORT_HEADER = 24
_LONG_HEADER = 40
"""Bytes of a WAL page's header; the long one is that of a segment's first page."""

Decision = Literal["equal", "different", "pending"]


@dataclass(frozen=True)
class State:
    """A row at one look: which version it was and its hash. None in its place: no row."""

    version: str
    hash: int


@dataclass(frozen=True)
class Round:
    """The source's row, and the target's after it had replayed past that read.

    `seen` are the hashes that the source showed meanwhile (None: no row). `running` are
    the source's transactions that may have been committing as the target was read, `settled`
    says that those of the round before had ended when this one's source was read.
    """

    source: State | None
    target: State | None
    seen: frozenset[int | None] = frozenset()
    running: frozenset[str] = frozenset()
    settled: bool = True


def decide(before: Round | None, now: Round) -> Decision:
    """What is known of one row after a round, given the round before it, which was pending."""
    if _hash(now.target) in now.seen | {_hash(now.source)}:
        return "equal"
    if before is None or not now.settled:
        return "pending"
    if before.source is not None and before.source == now.source:
        return "different"
    if before.target is not None and before.target == now.target:
        return "different"
    return "pending"


def end_of_wal(inserted: Lsn, page: int, segment: int) -> Lsn:
    """Where the WAL ends whose insert position is `inserted`.

    At the beginning of a page that position stands behind the page's header, which is not
    written before a record follows: no standby can have replayed it.
    """
    for length, unit in ((_LONG_HEADER, segment), (_SHORT_HEADER, page)):
        if inserted % unit == length:
            return Lsn(inserted - length)
    return inserted


def _hash(state: State | None) -> int | None:
    return state.hash if state else None
