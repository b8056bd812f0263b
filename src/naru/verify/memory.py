"""What was read of a big table when its comparison was stopped: the totals so far of each side.

They count for the next run only if that side has stood still since before the first of
them was read, and its table is divided in the same way; then adding the rest gives what
reading all of it would give.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from naru.verify.descent import Grain, Totals
from naru.verify.relations import Part
from naru.verify.standing import Standing

FROM_PARTS = 16
"""A table of fewer parts is soon read again."""
EVERY = 10.0
"""Seconds of reading that may be lost."""

_Name = tuple[str, int | None, int | None]


@dataclass(frozen=True)
class HalfRead:
    """Totals of some parts of one side; `at` and `standing` are of before the first of them."""

    standing: Standing
    at: float
    grain: Grain
    parts: frozenset[_Name]
    totals: Totals

    def to_json(self) -> str:
        shape: dict[str, Any] = {
            "standing": self.standing.to_json(), "at": self.at,
            "grain": [self.grain.bits, self.grain.shift],
            "parts": sorted(self.parts, key=str),
            "totals": [[bucket, rows, hashes] for bucket, (rows, hashes) in self.totals.items()],
        }  # fmt: skip
        return json.dumps(shape)

    @classmethod
    def from_json(cls, text: str) -> HalfRead:
        shape = json.loads(text)
        return cls(
            Standing.from_json(shape["standing"]), shape["at"], Grain(*shape["grain"]),
            frozenset((name, first, last) for name, first, last in shape["parts"]),
            {bucket: (rows, hashes) for bucket, rows, hashes in shape["totals"]},
        )  # fmt: skip


class Memory:
    """Remembers one side of one table while it is read; `save` keeps what it is given."""

    def __init__(
        self, standing: Standing, before: HalfRead | None, save: Callable[[HalfRead], None]
    ) -> None:
        self.standing = standing
        self.at = time.time()
        self._before = before
        self._save = save
        self._grain = Grain(0)
        self._parts: set[_Name] = set()
        self._saved = time.monotonic()
        self._big = False

    def begin(self, grain: Grain, parts: Sequence[Part], into: Totals) -> list[Part]:
        """The parts that are still to be read; the totals of the others are put into `into`."""
        self._grain, self._big = grain, len(parts) >= FROM_PARTS
        before = self._before
        if before is None or before.grain != grain or not before.parts <= {_name(p) for p in parts}:
            return list(parts)
        self.standing, self.at = before.standing, before.at
        self._parts = set(before.parts)
        into.update(before.totals)
        return [part for part in parts if _name(part) not in before.parts]

    def keep(self, part: Part, totals: Totals) -> None:
        """A part was read: these are the totals with it. Not to be called by two at once."""
        self._parts.add(_name(part))
        if self._big and time.monotonic() - self._saved >= EVERY:
            self._save(
                HalfRead(self.standing, self.at, self._grain, frozenset(self._parts), totals)
            )
            self._saved = time.monotonic()


def _name(part: Part) -> _Name:
    return part.relation.as_string(), part.first, part.last
