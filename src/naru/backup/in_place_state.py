"""What is noted of a restore in place, so that another process can go on, confirm or undo."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from naru.backup.target import Target
from naru.errors import RefusedError
from naru.system import Account, write_atomically


@dataclass(frozen=True)
class InPlaceState:
    """A restore in place that was begun and neither confirmed nor undone; kept in a file."""

    id: str
    target: Target
    backup: str
    timeline: int
    before: tuple[int, ...]
    """The timelines that there were before."""
    step: str = "begun"
    """`begun`, `exchanged` (the members' data are those of that moment) or `done`."""
    keys: dict[str, str] = field(default_factory=dict)
    """What the cluster had in its election's store."""
    aside: tuple[str, ...] = ()
    """Files that were put aside where WAL arrives."""
    times: dict[str, float] = field(default_factory=dict)
    """When each step was reached, since the epoch."""

    def with_aside(self, names: tuple[str, ...]) -> InPlaceState:
        """The same with more files put aside."""
        return replace(self, aside=tuple(sorted({*self.aside, *names})))

    @property
    def down_seconds(self) -> float | None:
        """How long no write was possible; None until it is again."""
        if not {"stopping", "writable"} <= self.times.keys():
            return None
        return self.times["writable"] - self.times["stopping"]

    def to_json(self) -> dict[str, Any]:
        """The stable document of `naru service restore --in-place --json`."""
        began = self.times["began"]
        return {
            "id": self.id,
            "target": self.target.sentence,
            "backup": self.backup,
            "step": self.step,
            "down_seconds": _rounded(self.down_seconds),
            "seconds": {name: _rounded(at - began) for name, at in self.times.items()},
        }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


class StateFile:
    """The file that holds it."""

    def __init__(self, path: Path, account: Account) -> None:
        self._path = path
        self._account = account

    def read(self) -> InPlaceState | None:
        """The restore that is neither confirmed nor undone; None when there is none."""
        if not self._path.exists():
            return None
        document = json.loads(self._path.read_text())
        return InPlaceState(**{
            **document,
            "target": Target(**document["target"]),
            "before": tuple(document["before"]),
            "aside": tuple(document["aside"]),
        })  # fmt: skip

    def write(self, state: InPlaceState) -> InPlaceState:
        """Keep it. It holds what the election's store held: mode 0600."""
        text = json.dumps(asdict(state), indent=2) + "\n"
        write_atomically(self._path, text, mode=0o600, owner=self._account)
        return state

    def reached(self, state: InPlaceState, name: str, **changes: Any) -> InPlaceState:
        """Keep that `name` was reached now, with what else changed."""
        times = {**state.times, name: time.time()}
        return self.write(replace(state, times=times, **changes))

    def forget(self) -> None:
        self._path.unlink(missing_ok=True)

    def must_be_free(self) -> None:
        """Raise RefusedError while a restore is neither confirmed nor undone."""
        state = self.read()
        if state is not None:
            half = "is half-way" if state.step != "done" else "was not confirmed yet"
            ways = "--resume or --undo" if state.step != "done" else "--confirm or --undo"
            raise RefusedError(
                f"the restore in place of {state.id} {half}",
                remedy=f"`naru service restore {ways}`",
            )

    def must_exist(self) -> InPlaceState:
        """The restore under way or done. Raises RefusedError when there is none."""
        state = self.read()
        if state is None:
            raise RefusedError("there is no restore in place to go on with, confirm or undo")
        return state
