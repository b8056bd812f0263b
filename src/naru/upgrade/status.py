"""Where an upgrade stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from naru.errors import NaruError
from naru.migrate import observe_status
from naru.upgrade.sides import Sides


@dataclass(frozen=True)
class DatabaseStatus:
    """One database of an upgrade; `lag_bytes` None while it is not followed or not known."""

    database: str
    state: str
    at: str
    """`old` or `new`: where its clients write."""
    lag_bytes: int | None
    problem: str | None = None


@dataclass(frozen=True)
class UpgradeStatus:
    """The whole of it."""

    name: str
    old: str
    new: str
    live: str
    """`old` or `new`: where the service's ports lead."""
    ending: str | None
    databases: tuple[DatabaseStatus, ...]
    next: str
    """What may be done now, in a sentence."""

    def to_json(self) -> dict[str, Any]:
        """The stable document of `naru service upgrade --json`."""
        return {
            "name": self.name, "old": self.old, "new": self.new, "live": self.live,
            "ending": self.ending, "databases": [vars(one) for one in self.databases],
            "next": self.next,
        }  # fmt: skip


def observe_upgrade(sides: Sides) -> UpgradeStatus:
    """Look at every database; one that does not answer is told as a problem."""
    live, ending = sides.live, sides.run.recall("ending")
    databases = tuple(_observe(sides, one) for one in sides.databases)
    return UpgradeStatus(
        name=sides.run.name,
        old=f"{sides.place('old').name}, PostgreSQL {sides.place('old').version}",
        new=f"{sides.place('new').name}, PostgreSQL {sides.place('new').version}",
        live=live,
        ending=ending,
        databases=databases,
        next=what_next(sides.version, live, ending, tuple(one.at for one in databases)),
    )


def what_next(version: str, live: str, ending: str | None, at: tuple[str, ...]) -> str:
    """What may be done now."""
    if ending is not None:
        return f"go on with --{ending}"
    if any(one != live for one in at):
        return f"a switch was cut off: go on with --to {version}, or with --back"
    if live == "new":
        return "--back returns to the old cluster without loss; --finish takes it away"
    return f"go on with --to {version}; --abort takes the new cluster away"


def _observe(sides: Sides, database: str) -> DatabaseStatus:
    if sides.open_migration(database) is None:
        return DatabaseStatus(database, "not begun", "old", None)
    record = sides.record(database)
    at = "new" if record.at == "target" else "old"
    try:
        seen = observe_status(record)
    except NaruError as error:
        return DatabaseStatus(database, "unknown", at, None, error.message)
    lag = seen.lag.bytes if seen.lag is not None else None
    return DatabaseStatus(database, seen.state, at, lag, seen.problem)
