"""The business of a workload, as data: which statements, how often, with what values.

The drill knows no application; whoever runs it says what its transactions do besides
writing to the ledger. With no change at all a transaction is the ledger row alone.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Change:
    """One statement in psycopg's format, with named values; drawn by `weight`."""

    name: str
    statement: str
    weight: int = 1


@dataclass(frozen=True)
class Business:
    """Changes, and where their values come from: even draws from ranges (both ends
    included) and from choices."""

    changes: tuple[Change, ...] = ()
    ranges: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def draw(self, chance: random.Random) -> tuple[str, dict[str, object]] | None:
        """A statement with its values; None when there is nothing but the ledger."""
        if not self.changes:
            return None
        (change,) = chance.choices(self.changes, [one.weight for one in self.changes])
        values: dict[str, object] = {
            name: chance.randint(low, high) for name, (low, high) in self.ranges.items()
        }
        values |= {name: chance.choice(words) for name, words in self.choices.items()}
        return change.statement, values

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Business:
        return cls(
            tuple(Change(**change) for change in document["changes"]),
            {name: (low, high) for name, (low, high) in document["ranges"].items()},
            {name: tuple(words) for name, words in document["choices"].items()},
        )


LEDGER_ALONE = Business()
