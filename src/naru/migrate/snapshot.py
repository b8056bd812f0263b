"""The copy's snapshot as the journal knows it: who holds it, since when, for how long yet.

A snapshot keeps vacuum on the source from removing any row version that it may still see,
in all tables. So there are bounds on it, and what is written here is the keeper's licence:
it gives the snapshot back when its note is gone.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from naru.journal import Run
from naru.migrate.record import Record
from naru.system.units import human_seconds

_HELD, _BOUNDS, _ALONE, _OVER = (
    "snapshot", "snapshot.bounds", "snapshot.alone", "snapshot.over",
)  # fmt: skip


@dataclass(frozen=True)
class Keeping:
    """How long a snapshot may be held, in seconds."""

    alone: float = 30 * 60.0
    """While no naru works on the copy, because it was killed or has stopped."""
    longest: float | None = None
    """In whole, also while rows are copied; None: as long as it takes."""


@dataclass(frozen=True)
class Held:
    """A snapshot that a keeper has taken over. Times are in seconds since the epoch."""

    batch: int
    name: str
    """As SET TRANSACTION SNAPSHOT takes it."""
    since: float
    process: int
    """The keeper."""
    keeping: Keeping
    alone_since: float | None = None
    """Since when no naru works on the copy; None while one does."""
    over: str | None = None
    """Why the keeper has given it back, if it did so by itself."""


@dataclass(frozen=True)
class Found:
    """What a start finds of a snapshot that was noted as held."""

    is_there: bool
    has_slot: bool
    age: float


def too_long(keeping: Keeping, *, age: float, alone: float | None) -> str | None:
    """Why a snapshot of that age has to be given back; None while it may be held.

    `alone` is for how long no naru has worked on the copy, None if one does.
    """
    if keeping.longest is not None and age >= keeping.longest:
        return f"it got {human_seconds(keeping.longest)} old, its bound (--longest-snapshot)"
    if alone is not None and alone >= keeping.alone:
        return (
            f"nobody went on with the copy for {human_seconds(keeping.alone)} (--keep-snapshot-for)"
        )
    return None


def why_lost(held: Held, found: Found) -> str | None:
    """Why the copy cannot go on under the snapshot; None if it can."""
    if held.over is not None:
        return held.over
    if not found.has_slot:
        return "its slot is gone"
    if not found.is_there:
        return f"the session that held it (process {held.process}) is gone"
    return too_long(held.keeping, age=found.age, alone=None)


def note(run: Run, batch: int, name: str, since: float, process: int) -> None:
    """Write that `process` holds a snapshot, in place of what was written before."""
    run.forget(_OVER)
    run.forget(_ALONE)
    run.remember(_HELD, {"batch": batch, "name": name, "since": since, "process": process})


def set_keeping(record: Record, alone: float | None, longest: float | None) -> None:
    """Keep the user's bounds for this and every later command; None leaves an earlier one.

    A keeper that holds a snapshot already obeys them, too; `longest` 0 is no bound.
    """
    known = keeping_of(record.run)
    keeping = Keeping(
        known.alone if alone is None else alone,
        known.longest if longest is None else longest or None,
    )
    record.run.remember(_BOUNDS, asdict(keeping))


def keeping_of(run: Run) -> Keeping:
    """The bounds on the migration's snapshot."""
    return Keeping(**run.recall(_BOUNDS, {}))


def note_alone(run: Run, since: float | None) -> None:
    """Write since when no naru works on the copy; None: one does."""
    if since is None:
        run.forget(_ALONE)
    else:
        run.remember(_ALONE, since)


def note_over(run: Run, reason: str) -> None:
    """Write why the snapshot was given back; its note stays for the next start to tell."""
    run.remember(_OVER, reason)
    run.event("snapshot.over", f"the copy's snapshot was given back: {reason}")


def recall(run: Run) -> Held | None:
    """The snapshot that is held, or was until it got too much; None if there is none."""
    written = run.recall(_HELD)
    if written is None:
        return None
    return Held(
        **written,
        keeping=keeping_of(run),
        alone_since=run.recall(_ALONE),
        over=run.recall(_OVER),
    )


def forget(run: Run) -> None:
    """Take the keeper's licence away: it ends within a second or so."""
    for key in (_HELD, _ALONE, _OVER):
        run.forget(key)


def attendance(record: Record) -> Path:
    """The file whose lock a naru holds while it works on the copy."""
    record.folder.mkdir(parents=True, exist_ok=True)
    return record.folder / "copy.lock"
