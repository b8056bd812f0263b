"""All databases of the service move to the other cluster, one after the other.

Each has a pause of its own. Comparing takes longer than crossing, so that the comparisons go
on beside the crossings that follow.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from naru.errors import RefusedError
from naru.migrate import Crossing, GateShutError, Limits, Switcher
from naru.system import Deadline, Observer
from naru.upgrade.sides import End, Sides

FLOW_SECONDS = 60.0
"""How long a switch waits for changes that are late, before it is refused."""

_PASSING = frozenset({"flow.slow", "flow.lag"})
_EVERY = 0.01


@dataclass(frozen=True)
class Crossed:
    """A database that has moved."""

    database: str
    crossing: Crossing


def cross_all(
    sides: Sides,
    to: End,
    limits: Limits,
    observer: Observer,
    *,
    verify: bool,
    jobs: int,
    after: Callable[[], None],
    keep: Callable[[Crossed], None],
) -> tuple[Crossed, ...]:
    """Move what is not at `to` yet; `after` is called when the last one's clients go on, and
    `keep` hears of each that has moved, also when a later one fails.

    Raises RefusedError with every gate that is shut before any of them moves; one that
    fails leaves itself and those after it where they are, and the others moved.
    """
    side = "target" if to == "new" else "source"
    todo = [one for one in sides.databases if sides.record(one).at != side]
    switchers = [(one, _switcher(sides, one, limits, observer)) for one in todo]
    _must_be_open([switcher for _, switcher in switchers])
    begun: list[tuple[str, Future[Crossing]]] = []
    with ThreadPoolExecutor(max_workers=max(1, len(todo))) as pool:
        try:
            for database, switcher in switchers:
                begun.append((database, _begin(pool, switcher, verify, jobs)))
            after()
        finally:
            wait([one for _, one in begun])
            for database, one in begun:
                if one.exception() is None:
                    keep(Crossed(database, one.result()))
    return tuple(Crossed(database, one.result()) for database, one in begun)


def _begin(
    pool: ThreadPoolExecutor, switcher: Switcher, verify: bool, jobs: int
) -> Future[Crossing]:
    """Begin one crossing, and return when its clients go on. Raises what it failed with."""
    deadline = Deadline(FLOW_SECONDS, "changes to arrive at the other cluster")
    while True:
        gone_on = threading.Event()
        crossing = pool.submit(switcher.cross, verify=verify, jobs=jobs, after_resume=gone_on.set)
        while not gone_on.wait(_EVERY) and not crossing.done():
            pass
        if gone_on.is_set() or crossing.exception() is None:
            return crossing
        if deadline.passed or not isinstance(crossing.exception(), GateShutError):
            crossing.result()
        # It was open a moment ago: on a busy machine changes may be late again.
        _must_be_open([switcher])


def _switcher(sides: Sides, database: str, limits: Limits, observer: Observer) -> Switcher:
    return Switcher(
        sides.record(database), sides.pooled(database), limits, observer,
        keeps_slot=sides.service("new").keep_slot,
    )  # fmt: skip


def _must_be_open(switchers: Sequence[Switcher]) -> None:
    """Changes that are merely late are waited for; anything else is told at once."""
    deadline = Deadline(FLOW_SECONDS, "changes to arrive at the other cluster")
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
