"""What a comparison's snapshot holds back on a server, and when that is too much: decisions.

While a snapshot is held, vacuum removes no row version that died since, in no table of that
database, and no transaction number since then can be forgotten. WAL is not held back by it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from naru.errors import UsageError
from naru.system.units import human_count, human_seconds, parse_seconds

Measure = Literal["held", "dead", "xids"]


@dataclass(frozen=True)
class Held:
    """What the oldest snapshot of a comparison holds back on one server."""

    seconds: float = 0.0
    """For how long it has been held."""
    dead: int = 0
    """Row versions that died since: updates and deletes that the server has counted."""
    transactions: int = 0
    """Transaction numbers given out since the oldest that it may still see as running."""

    def of(self, measure: Measure) -> float:
        return {"held": self.seconds, "dead": self.dead, "xids": self.transactions}[measure]

    def words(self) -> str:
        """As people read it."""
        return (
            f"held for {human_seconds(self.seconds)}, {human_count(self.dead)} row versions died"
            f" since, {human_count(self.transactions)} transactions"
        )

    def or_more(self, other: Held) -> Held:
        """The greater of both in each measure."""
        return Held(
            max(self.seconds, other.seconds), max(self.dead, other.dead),
            max(self.transactions, other.transactions),
        )  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        return {
            "seconds": round(self.seconds, 1),
            "dead_row_versions": self.dead,
            "transactions": self.transactions,
        }


@dataclass(frozen=True)
class HeldLimit:
    """A bound on what a snapshot may hold back, on either side."""

    measure: Measure
    most: float

    @classmethod
    def parse(cls, text: str) -> HeldLimit:
        """Read `held>2h`, `dead>5000000` or `xids>100000000`. Raises UsageError for others."""
        name, given, value = (part.strip() for part in text.partition(">"))
        if given and name == "held":
            return cls("held", parse_seconds(value))
        digits = value.replace(",", "").replace("_", "")
        if not given or name not in ("dead", "xids") or not digits.isdigit():
            raise UsageError(
                f"--stop-when {text!r} is not understood",
                remedy="write held>2h, dead>5000000 (row versions) or xids>100000000",
            )
        return cls("dead" if name == "dead" else "xids", int(digits))

    def words(self) -> str:
        return {
            "held": f"it was held for {human_seconds(self.most)}",
            "dead": f"{human_count(self.most)} row versions died since",
            "xids": f"{human_count(self.most)} transactions have begun since",
        }[self.measure]


ALWAYS = (HeldLimit("xids", 200_000_000),)
"""Bounds that hold if nobody says otherwise: as many transactions as autovacuum leaves unfrozen."""


def stop_when(texts: Sequence[str]) -> tuple[HeldLimit, ...]:
    """The bounds that people name, with those of `ALWAYS` on what they do not."""
    chosen = tuple(HeldLimit.parse(text) for text in texts)
    named = {limit.measure for limit in chosen}
    return (*chosen, *(limit for limit in ALWAYS if limit.measure not in named))


def too_much(held: Mapping[str, Held], limits: Sequence[HeldLimit]) -> str | None:
    """Why snapshots have to be given back, by the servers' names; None while they may be held."""
    for name, one in held.items():
        for limit in limits:
            if one.of(limit.measure) > limit.most:
                return f"the snapshot on the {name} reached its bound, {limit.words()}"
    return None


class Beginnings:
    """How many row versions had died when each of our snapshots was taken.

    Counters only rise: what died since the oldest snapshot is their rise since then.
    """

    def __init__(self) -> None:
        self._known: dict[float, int] = {}

    def since(self, begun: Sequence[float], counter: int) -> int:
        """What died since the oldest of `begun`; each is first told when it is first seen."""
        self._known = {moment: self._known.get(moment, counter) for moment in begun}
        if not begun:
            return 0
        # A server that has reset its counters begins anew.
        return max(0, counter - self._known[min(begun)])
