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
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Decision = Literal["equal", "different", "pending"]


@dataclass(frozen=True)
class State:
    """A row at one look: which version it was and its hash. None in its place: no row."""

    version: str
    hash: int


@dataclass(frozen=True)
class Round:
    """The source's row, and the target's after it had replayed past that read.

    `seen` are the hashes that the source showed meanwhile (None: no row).
    """

    source: State | None
    target: State | None
    seen: frozenset[int | None] = frozenset()


def decide(before: Round | None, now: Round) -> Decision:
    """What is known of one row after a round, given the round before it, which was pending."""
    if _hash(now.target) in now.seen | {_hash(now.source)}:
        return "equal"
    if before is None:
        return "pending"
    if before.source is not None and before.source == now.source:
        return "different"
    if before.target is not None and before.target == now.target:
        return "different"
    return "pending"


def _hash(state: State | None) -> int | None:
    return state.hash if state else None
