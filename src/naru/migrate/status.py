"""Status: where a migration stands, read from the journal and from both sides."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any, Literal

from naru.errors import NaruError, StoppedError
from naru.migrate import holders, ledger
from naru.migrate.follow import Lag, note_lag, observe_lag
from naru.migrate.holders import Holding
from naru.migrate.ledger import Copied
from naru.migrate.plan import SWITCH
from naru.migrate.record import Owner, Record
from naru.migrate.retention import Retention
from naru.migrate.sides import explained
from naru.migrate.watch import must_not_be_given_up, observe_retention

State = Literal["copying", "following", "switching", "crossed", "stopped"]


@dataclass(frozen=True)
class Status:
    """One look at a migration; None where a side could not be asked.

    `problem` says which side does not answer, or why changes do not flow.
    """

    name: str
    source: str
    target: str
    state: State
    at: str
    step: str
    step_state: str
    copied: Copied | None
    lag: Lag | None
    switches: int
    snapshot: Holding | None = None
    """The copy's snapshot while it is held on the source."""
    problem: str | None = None
    retention: Retention | None = None
    """The WAL held back on the side that takes writes."""
    owner: Owner | None = None
    """What it is a part of, and what runs it then."""

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "source": self.source,
            "target": self.target,
            "state": self.state,
            "writes_at": self.at,
            "step": self.step,
            "step_state": self.step_state,
            "copied": {
                "tables": self.copied.tables,
                "rows": self.copied.rows,
                "bytes": self.copied.bytes,
            }
            if self.copied
            else None,
            "lag": self.lag.to_json() if self.lag else None,
            "retention": self.retention.to_json() if self.retention else None,
            "switches": self.switches,
            "snapshot": self.snapshot.to_json() if self.snapshot else None,
            "problem": self.problem,
            "part_of": self.owner.what if self.owner else None,
        }


def observe_status(record: Record) -> Status:
    """Look at both sides; a side that does not answer is the status's `problem`."""
    copied: Copied | None = None
    lag: Lag | None = None
    retention: Retention | None = None
    held: Holding | None = None
    problem: str | None = None
    try:
        with contextlib.ExitStack() as links:
            live = links.enter_context(record.live.connect("status"))
            if record.at == "source":
                with explained(record.source, "looking for the copy's snapshot"):
                    held = holders.observe(record.run, record.names, live)
            other = links.enter_context(record.other.connect("status"))
            target = other if record.other is record.target else live
            with explained(record.target, "reading how far it is"):
                copied = ledger.totals(target) if ledger.exists(target) else None
                if record.run.is_done("subscribe"):
                    lag = observe_lag(record, live, other)
                    note_lag(record, lag)
                    problem = ": ".join(lag.problem) if lag.problem else None
            with explained(record.live, "looking at the slots"):
                retention = observe_retention(record, live)
            must_not_be_given_up(record)
    except NaruError as error:
        problem = error.message
        if isinstance(error, StoppedError) and error.remedy:
            problem = f"{error.message}: {error.remedy}"
    steps = record.run.steps()
    last = steps[-1] if steps else None
    return Status(
        name=record.names.migration,
        source=str(record.source.dsn),
        target=str(record.target.dsn),
        state=_state(record, last.state if last and not _is_alone(held) else "failed"),
        at=record.at,
        step=last.name if last else "none",
        step_state=last.state if last else "none",
        copied=copied,
        lag=lag,
        switches=record.switches,
        snapshot=held,
        problem=problem,
        retention=retention,
        owner=record.owner,
    )


def _is_alone(held: Holding | None) -> bool:
    """True if a copy is under way by its steps, but nobody works on it."""
    return held is not None and held.left_seconds is not None


def _state(record: Record, last: str) -> State:
    if record.run.recall(SWITCH) is not None:
        return "switching"
    if record.at == "target":
        return "crossed"
    if record.is_following:
        return "following"
    return "stopped" if last == "failed" else "copying"
