"""The switch: writes move from one side to the other while clients wait for a moment.

The same code takes a migration across and back again. Until clients are let go, every
failure ends with the old side taking writes as before; the journal holds the one word
that tells which side is right after a crash at any point.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import psycopg

from naru.errors import DeadlineError
from naru.journal import Run
from naru.migrate import channel as channels
from naru.migrate.fence import observe_fence, raise_fence, shut_entrance
from naru.migrate.identity import must_all_have
from naru.migrate.largeobjects import Notes, synchronise
from naru.migrate.origin import begin_at, may_begin_at
from naru.migrate.parts import read_publishable
from naru.migrate.plan import SwitchPlan, fence_key, point_all, remember_phase
from naru.migrate.sequences import Positions, read_sequences, set_sequences
from naru.migrate.sides import current_lsn, explained
from naru.migrate.unlogged import UnloggedTable, copy_again, read_unlogged
from naru.postgres import Connection, Lsn, fetch_value
from naru.system import SILENT, Deadline, Observer, wait_until

T = TypeVar("T")
ARM_SECONDS = 120.0
"""How long making the way back may wait for running transactions, and for standbys."""

_POLL = 0.002
_NUDGE_SECONDS = 0.015


@dataclass
class Frozen:
    """The moment of the switch: nothing was written on either side while it was taken.

    The two connections hold the snapshots; they are to be closed after the comparison.
    """

    lsn: Lsn
    leave_snapshot: str
    enter_snapshot: str
    leave_sequences: Positions
    enter_sequences: Positions
    holders: tuple[Connection, Connection]
    milliseconds: dict[str, float] = field(default_factory=dict)
    ended_clients: int = 0

    def release(self) -> None:
        """Let both snapshots go."""
        for connection in self.holders:
            with contextlib.suppress(psycopg.Error):
                connection.close()


@dataclass
class _Links:
    """Open connections of a switch, made before clients have to wait for them."""

    leave: Connection
    enter: Connection
    leave_snapshot: Connection
    enter_snapshot: Connection
    unlogged: tuple[UnloggedTable, ...]
    """What the side to leave has of these, found before clients wait."""

    @classmethod
    def open(cls, plan: SwitchPlan) -> _Links:
        leave = plan.leave.connect("switch")
        return cls(
            leave,
            plan.enter.connect("switch"),
            plan.leave.connect("snapshot", autocommit=False),
            plan.enter.connect("snapshot", autocommit=False),
            read_unlogged(leave),
        )

    def bound(self, deadline: Deadline | None) -> None:
        """Let no statement of ours outlast `deadline`: clients wait for it."""
        for one in (self.leave, self.enter, self.leave_snapshot, self.enter_snapshot):
            if one.vigil:
                one.vigil.until = deadline

    def close(self) -> None:
        self.leave.close()
        self.enter.close()


def arm(plan: SwitchPlan) -> None:
    """Make the way back, not yet in use: publication, slot and a disabled subscription.

    Making a slot waits for running transactions, and a subscription asks its publisher
    for its tables: both are done here, while clients still work.
    """
    with plan.enter.connect("arm") as enter, plan.leave.connect("arm") as leave:
        if enter.vigil:
            enter.vigil.until = Deadline(ARM_SECONDS, f"the way back from {plan.enter}")
        with explained(plan.enter, "arming the way back"):
            must_all_have(enter)
            channels.publish(plan.back, read_publishable(enter), enter)
            try:
                # A standby may have a slot at an earlier place: see `_begin_way_back`.
                channels.create_slot(plan.back, enter, failover=may_begin_at(leave))
            except psycopg.Error as error:
                raise channels.explain_slot(error, plan.back) from error
            channels.advance_slot(plan.back, enter)
        with explained(plan.leave, "arming the way back"):
            channels.subscribe(plan.back, enter, leave)


def disarm(plan: SwitchPlan) -> None:
    """Take the way back away again. Harmless where there is none."""
    with plan.leave.connect("disarm") as leave, explained(plan.leave, "taking the way back away"):
        channels.drop_destination(plan.back, leave)
    with plan.enter.connect("disarm") as enter, explained(plan.enter, "taking the way back away"):
        channels.drop_origin(plan.back, enter)


def freeze(plan: SwitchPlan, run: Run, observer: Observer = SILENT) -> Frozen:
    """Hold the clients, bring both sides to the same state, and turn the poolers round.

    Ends with clients still held and the word `committed` in the journal; `let_go` is
    next. Raises DeadlineError, or what went wrong; the caller then calls `undo`.
    """
    links = _Links.open(plan)
    try:
        synchronise_large_objects(plan, observer)
        return _freeze(plan, run, links)
    except BaseException:
        links.leave_snapshot.close()
        links.enter_snapshot.close()
        raise
    finally:
        links.close()


def _freeze(plan: SwitchPlan, run: Run, links: _Links) -> Frozen:
    with explained(plan.leave, "reading the fence's state"):
        state = observe_fence(links.leave)
    # Of an earlier switch the fence around the side to enter is still there.
    entrance = run.recall(fence_key(plan.enter)) is None
    remember_phase(run, plan, "pausing", state, entrance=entrance)
    if entrance:
        with explained(plan.enter, "closing it until the switch is decided"):
            ahead = observe_fence(links.enter)
            run.remember(fence_key(plan.enter), ahead.to_json())
            shut_entrance(links.enter, plan.enter, ahead)
    deadline = Deadline(plan.pause_seconds, "the switch")
    links.bound(deadline)
    watch = Stopwatch()
    run.event("cutover.pause", "clients wait", number=plan.number)
    with explained(plan.leave, "the switch"):
        with watch("pause"):
            for pooled in plan.poolers:
                pooled.pooler.pause(pooled.database, deadline)
        with watch("fence"):
            ended = raise_fence(links.leave, plan.leave, state, deadline)
        with watch("drain"):
            lsn = _drain(plan, links.leave, links.enter, deadline)
        with watch("sequences"):
            positions = read_sequences(links.leave)
            set_sequences(links.enter, positions)
        with watch("large objects"):
            deadline.check()
            _synchronise(plan, links.leave, links.enter, SILENT)
        if links.unlogged:
            with watch("unlogged tables"):
                copy_again(links.leave, links.enter, links.unlogged)
        with watch("stop following"):
            for one in plan.forward:
                channels.disable(one, links.enter)
        with watch("way back"):
            _begin_way_back(plan, links)
        with watch("snapshots"):
            leave_snapshot = _export(links.leave_snapshot)
            enter_snapshot = _export(links.enter_snapshot)
            entered = read_sequences(links.enter)
        deadline.check()
        with watch("re-point"):
            point_all(plan.poolers, plan.enter)
        with watch("journal"):
            run.remember(fence_key(plan.leave), state.to_json())
            remember_phase(run, plan, "committed", state, entrance=entrance)
    links.bound(None)
    return Frozen(
        lsn, leave_snapshot, enter_snapshot, positions, entered,
        (links.leave_snapshot, links.enter_snapshot), watch.milliseconds, ended,
    )  # fmt: skip


def _begin_way_back(plan: SwitchPlan, links: _Links) -> None:
    """Let the way back begin here: nothing that the way there has brought may return by it.

    The place is noted at its receiving end as well, where a failover of this side cannot
    set it back. A commit first makes sure that the standbys have all before that place.
    """
    position = channels.advance_slot(plan.back, links.enter)
    _emit(links.enter)
    if may_begin_at(links.leave):
        begin_at(plan.back, position, links.leave)


def _drain(plan: SwitchPlan, leave: Connection, enter: Connection, deadline: Deadline) -> Lsn:
    """Wait until everything written at the side to leave is durable at the other."""
    try:
        return _await_applied(plan, leave, enter, deadline.left)
    except DeadlineError:
        raise DeadlineError(
            f"{plan.enter}: the last changes were not applied within the pause",
            remedy="clients go on at the old side; try again when the lag is small",
        ) from None


def does_flow(plan: SwitchPlan, leave: Connection, enter: Connection, seconds: float) -> bool:
    """True if a change made now is applied within `seconds`.

    A rehearsal of the drain while clients still work: a worker that fails over and over
    may look connected at any one moment.
    """
    try:
        _await_applied(plan, leave, enter, seconds)
    except DeadlineError:
        return False
    return True


def _await_applied(plan: SwitchPlan, leave: Connection, enter: Connection, seconds: float) -> Lsn:
    """Wait until what has been written so far is confirmed, and give its end.

    The worker there confirms what is flushed, and may sleep for some hundred milliseconds
    before it looks. So its WAL is flushed for it, and a message wakes it up. Messages also
    make a commit to confirm where the last real transaction is long past.
    """
    _emit(leave)
    end = current_lsn(leave)
    names = [one.name for one in plan.forward]
    nudged = time.monotonic()

    def is_applied() -> bool:
        nonlocal nudged
        query = (
            "SELECT bool_and(confirmed_flush_lsn >= %s::pg_lsn) AND count(*) = %s"
            " FROM pg_catalog.pg_replication_slots WHERE slot_name = ANY (%s)"
        )
        if fetch_value(leave, query, [str(end), len(names), names]):
            return True
        if time.monotonic() - nudged >= _NUDGE_SECONDS:
            _emit(enter)
            _emit(leave)
            nudged = time.monotonic()
        return False

    wait_until(is_applied, "the last changes to be applied", max(0.001, seconds), every=_POLL)
    return end


def _emit(connection: Connection) -> None:
    """A transaction of nothing but a message: it is flushed, and decoded."""
    connection.execute("SELECT pg_catalog.pg_logical_emit_message(true, 'naru', 'drain')")


def _export(connection: Connection) -> str:
    connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
    return str(fetch_value(connection, "SELECT pg_catalog.pg_export_snapshot()"))


def synchronise_large_objects(plan: SwitchPlan, observer: Observer) -> None:
    """Bring large objects across while clients still work, so that the pause has few left."""
    with plan.leave.connect("large objects") as leave, plan.enter.connect("large objects") as enter:
        with explained(plan.enter, "copying large objects"):
            _synchronise(plan, leave, enter, observer)


def _synchronise(
    plan: SwitchPlan, leave: Connection, enter: Connection, observer: Observer
) -> None:
    notes = Notes(enter if plan.enter.role == "target" else leave, plan.leave.role)
    synchronise(leave, enter, notes, observer)


class Stopwatch:
    """Milliseconds of named steps, in order."""

    def __init__(self) -> None:
        self.milliseconds: dict[str, float] = {}

    @contextlib.contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self.milliseconds[name] = round((time.perf_counter() - began) * 1000, 2)


def describe(frozen: Frozen, resume_ms: float) -> dict[str, Any]:
    """Figures of a switch for the journal."""
    return {**frozen.milliseconds, "resume": round(resume_ms, 2)}
