"""The databases of one server: a migration each, crossing one after the other.

Each has a snapshot, a slot and a pause of its own, for PostgreSQL has none of these over
several databases. Comparing takes longer than crossing, so the comparisons go on beside the
crossings that follow.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial

from naru.errors import RefusedError, UsageError
from naru.migrate.cross import Crossing, GateShutError, PartlyComparedError, Switcher
from naru.migrate.dump_facts import holds_nothing, read_databases
from naru.postgres import Dsn, connect
from naru.system import SILENT, Deadline, Observer
from naru.verify import ALWAYS, HeldLimit

FLOW_SECONDS = 60.0
"""How long a switch waits for changes that are late, before it is refused."""

_MAINTENANCE = "postgres"
_PASSING = frozenset({"flow.slow", "flow.lag"})
_EVERY = 0.01


@dataclass(frozen=True)
class Crossed:
    """A database that has moved."""

    database: str
    crossing: Crossing
    pooled: bool = False
    """True if its clients waited at a pooler."""
    partly: PartlyComparedError | None = None
    """Why not all of it was compared, where a bound was reached."""


def databases_between(
    source: Dsn, target: Dsn, names: Sequence[str] = (), observer: Observer = SILENT
) -> tuple[tuple[Dsn, Dsn], ...]:
    """Each database on the source's server, and where it goes: to one of its own name.

    Those of `names`, else all that take connections. Templates do not count, nor does
    `postgres` if it holds nothing. Raises UsageError for names that are not there, and
    RefusedError if nothing is left.
    """
    with connect(source, purpose="databases") as connection:
        there = read_databases(connection)
    missing = [one for one in names if one not in there]
    if missing:
        raise UsageError(
            f"{source}: no database {', '.join(map(repr, missing))} takes connections there",
            remedy=f"there are: {', '.join(there)}",
        )
    chosen = list(dict.fromkeys(names)) or there
    if not names and _MAINTENANCE in chosen and _holds_nothing(source.with_(dbname=_MAINTENANCE)):
        observer.note(f"database {_MAINTENANCE} holds nothing and is left out")
        chosen = [one for one in chosen if one != _MAINTENANCE]
    if not chosen:
        raise RefusedError(f"{source}: that server has no database to bring across")
    return tuple((source.with_(dbname=one), target.with_(dbname=one)) for one in chosen)


def _holds_nothing(dsn: Dsn) -> bool:
    with connect(dsn, purpose="databases") as connection:
        return holds_nothing(connection)


def cross_one(
    database: str,
    switcher: Switcher,
    *,
    verify: bool,
    jobs: int,
    stop_when: tuple[HeldLimit, ...] = ALWAYS,
    after_resume: Callable[[], None] = lambda: None,
) -> Crossed:
    """Let one database cross, as `Switcher.cross` says; one partly compared has crossed too."""
    pooled = bool(switcher.plan.poolers)
    try:
        crossing = switcher.cross(
            verify=verify, jobs=jobs, stop_when=stop_when, after_resume=after_resume
        )
    except PartlyComparedError as error:
        return Crossed(database, error.crossing, pooled, error)
    return Crossed(database, crossing, pooled)


def cross_all(
    switchers: Sequence[tuple[str, Switcher]],
    *,
    verify: bool,
    jobs: int,
    keep: Callable[[Crossed], None],
    stop_when: tuple[HeldLimit, ...] = ALWAYS,
    after: Callable[[], None] = lambda: None,
) -> tuple[Crossed, ...]:
    """Let each database cross; `after` is called when the last one's clients go on, and
    `keep` hears of each that has moved, also when a later one fails.

    Raises RefusedError with every gate that is shut before any of them moves; one that
    fails leaves itself and those after it where they are, and the others moved.
    """
    _must_be_open([switcher for _, switcher in switchers])
    begun: list[Future[Crossed]] = []
    with ThreadPoolExecutor(max_workers=max(1, len(switchers))) as pool:
        try:
            for database, switcher in switchers:
                begin = partial(
                    pool.submit, cross_one, database, switcher,
                    verify=verify, jobs=jobs, stop_when=stop_when,
                )  # fmt: skip
                begun.append(_until_clients_go_on(begin, switcher))
            after()
        finally:
            wait(begun)
            for one in begun:
                if one.exception() is None:
                    keep(one.result())
    return tuple(one.result() for one in begun)


def _until_clients_go_on(
    begin: Callable[..., Future[Crossed]], switcher: Switcher
) -> Future[Crossed]:
    """Begin one crossing, and return when its clients go on. Raises what it failed with."""
    deadline = Deadline(FLOW_SECONDS, "changes to arrive at the other side")
    while True:
        gone_on = threading.Event()
        crossing = begin(after_resume=gone_on.set)
        while not gone_on.wait(_EVERY) and not crossing.done():
            pass
        if gone_on.is_set() or crossing.exception() is None:
            return crossing
        if deadline.passed or not isinstance(crossing.exception(), GateShutError):
            crossing.result()
        # It was open a moment ago: on a busy machine changes may be late again.
        _must_be_open([switcher])


def _must_be_open(switchers: Sequence[Switcher]) -> None:
    """Changes that are merely late are waited for; anything else is told at once."""
    deadline = Deadline(FLOW_SECONDS, "changes to arrive at the other side")
    while True:
        shut = [
            (switcher.plan.leave.dsn.database, gate)
            for switcher in switchers
            for gate in switcher.gates()
            if gate.severity == "shut"
        ]
        if not shut:
            return
        if deadline.passed or any(gate.code not in _PASSING for _, gate in shut):
            raise RefusedError(
                "a gate is shut: " + "; ".join(f"{name}: {gate.text}" for name, gate in shut),
                remedy=shut[0][1].remedy,
            )
