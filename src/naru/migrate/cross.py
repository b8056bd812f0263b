"""Crossing over and going back: gates, the switch, and the exact comparison after it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from naru.errors import DeadlineError, NaruError, RefusedError, StoppedError, UsageError
from naru.migrate import activity, fingerprint, gates, outcome, switch
from naru.migrate import channel as channels
from naru.migrate.channel import Channel
from naru.migrate.durable import may_have_lost
from naru.migrate.fence import check_fence, superusers_connected
from naru.migrate.follow import Lag, observe_lag
from naru.migrate.gates import Gate, GateFacts, Limits, PoolerView
from naru.migrate.guard import guarded, resolve
from naru.migrate.largeobjects import Notes
from naru.migrate.parts import read_publishable
from naru.migrate.plan import SWITCH, PooledDatabase, SwitchPlan
from naru.migrate.record import Record
from naru.migrate.sequences import Positions
from naru.migrate.sides import explained
from naru.migrate.switch import Frozen
from naru.postgres import Connection, fetch_value
from naru.system import SILENT, Deadline, Observer
from naru.verify import Options, SequenceState, Verdict, compare

WORKER_SECONDS = 15.0
_EVERY = 0.1


@dataclass(frozen=True)
class Crossing:
    """How a switch went. `verdict` is None if the comparison was not wanted."""

    number: int
    at: str
    lsn: str
    milliseconds: dict[str, float]
    ended_clients: int
    verdict: Verdict | None = field(repr=False)

    @property
    def pause_ms(self) -> float:
        """From asking the poolers to hold clients until they were told to let go."""
        return round(sum(self.milliseconds.values()), 1)

    def to_json(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "at": self.at,
            "exact_at_lsn": self.lsn,
            "pause_ms": self.pause_ms,
            "steps_ms": self.milliseconds,
            "ended_clients": self.ended_clients,
            "verification": self.verdict.to_json() if self.verdict else None,
        }


def plan_switch(record: Record, poolers: tuple[PooledDatabase, ...], limits: Limits) -> SwitchPlan:
    """The switch to the other side, whichever that is now."""
    number = record.switches + 1
    leave, enter = record.live, record.other
    return SwitchPlan(
        number=number,
        leave=leave,
        enter=enter,
        forward=record.channels,
        back=Channel(record.names.after_switch(number), enter, leave),
        poolers=poolers,
        pause_seconds=limits.pause_seconds,
    )


def pending(record: Record, poolers: tuple[PooledDatabase, ...]) -> SwitchPlan | None:
    """The switch that was in hand when its process died, if there is one."""
    known = record.run.recall(SWITCH)
    if known is None:
        return None
    leave = record.source if known["leave"] == "source" else record.target
    enter = record.target if known["leave"] == "source" else record.source
    return SwitchPlan(
        number=known["number"],
        leave=leave,
        enter=enter,
        forward=tuple(Channel(name, leave, enter) for name in known["forward"]),
        back=Channel(known["back"], enter, leave),
        poolers=poolers,
        pause_seconds=1.0,
    )


def settle_pending(record: Record, poolers: tuple[PooledDatabase, ...], observer: Observer) -> None:
    """Bring a switch that was cut off to one of its ends, before anything else is done."""
    unfinished = pending(record, poolers)
    if unfinished is not None:
        outcome = resolve(unfinished, record.run)
        observer.note(f"a switch that was cut off has been {outcome}")


def observe_gates(record: Record, plan: SwitchPlan) -> GateFacts:
    """Read everything that the gates look at; a small change is sent to see it arrive."""
    with (
        plan.leave.connect("gates") as leave,
        plan.enter.connect("gates") as enter,
        explained(plan.leave, "looking at the gates"),
    ):
        check_fence(leave, plan.leave)
        check_fence(enter, plan.enter)
        lag = _lag_with_a_worker(record, leave, enter)
        known = record.run.recall(f"fingerprint.{plan.leave.role}")
        if known is None and plan.leave.role == "source":
            known = record.run.recall("fingerprint")
        now = fingerprint.schema_fingerprint(leave)
        return GateFacts(
            flow_problem=lag.problem,
            arrived=lag.problem is None and switch.does_flow(plan, leave, enter),
            lag_bytes=lag.bytes,
            apply_errors=lag.errors,
            long_transactions=activity.long_transactions(leave),
            prepared_transactions=activity.prepared_transactions(leave),
            superusers=superusers_connected(leave),
            schema_drift=_drift(plan) if known and fingerprint.changed(known, now) else (),
            not_synchronised=activity.not_synchronised(enter),
            channel=plan.forward[0].name,
            unfollowed_tables=_unfollowed(plan, leave),
            unlogged_tables=activity.unlogged_tables(leave),
            other_passwords=activity.differing_passwords(leave, enter),
            foreign_writers=activity.clients(enter),
            other_wal_level=str(fetch_value(enter, "SHOW wal_level")),
            other_in_recovery=bool(fetch_value(enter, "SELECT pg_is_in_recovery()")),
            poolers=tuple(_view(pooled, plan) for pooled in plan.poolers),
            failed_over=may_have_lost(record, enter),
        )


def _lag_with_a_worker(record: Record, leave: Connection, enter: Connection) -> Lag:
    """The lag, once a worker has had the time to start.

    A server starts the worker of a subscription at most every few seconds
    (`wal_retrieve_retry_interval`), as right after another switch.
    """
    deadline = Deadline(WORKER_SECONDS, "a worker to start")
    while True:
        lag = observe_lag(record, leave, enter)
        only_waits = not (lag.connected or lag.disabled or lag.errors) and lag.wal_status not in {
            "lost",
            "missing",
        }
        if not only_waits or deadline.passed:
            return lag
        time.sleep(_EVERY)


def _drift(plan: SwitchPlan) -> tuple[str, ...]:
    """What differs between the schemas; nothing if a change was made on both sides."""
    options = Options(rows=False, sequences=False, large_objects=False)
    verdict = compare(plan.leave.dsn, plan.enter.dsn, options=options)
    return tuple(
        f"{one.kind} {one.object}, {one.attribute}: {one.source or 'none'} at the"
        f" {plan.leave.role}, {one.target or 'none'} at the {plan.enter.role}"
        for one in verdict.schema[:20]
    )


def _unfollowed(plan: SwitchPlan, leave: Connection) -> tuple[str, ...]:
    names = [one.name for one in plan.forward]
    query = """
        SELECT schemaname, tablename FROM pg_catalog.pg_publication_tables
        WHERE pubname = ANY (%s)
    """
    published = {tuple(row) for row in leave.execute(query, [names])}
    return tuple(
        str(one) for one in read_publishable(leave) if (one.schema, one.name) not in published
    )


def _view(pooled: PooledDatabase, plan: SwitchPlan) -> PoolerView:
    facts = pooled.pooler.observe(pooled.database)
    dsn = plan.leave.dsn
    return PoolerView(
        name=pooled.pooler.name,
        mode=" and ".join(facts.pool_modes),
        points_here=facts.points_at(dsn.host, dsn.port, dsn.database),
        where=facts.where,
    )


class Switcher:
    """One switch, from the gates to the comparison."""

    def __init__(
        self,
        record: Record,
        poolers: tuple[PooledDatabase, ...],
        limits: Limits,
        observer: Observer = SILENT,
    ) -> None:
        if not record.is_following:
            raise UsageError(
                f"migration {record.names.migration!r} does not follow yet",
                remedy="let `naru migrate start` come to its end first",
            )
        self._record = record
        self._observer = observer
        settle_pending(record, poolers, observer)
        self.plan = plan_switch(record, poolers, limits)
        self._limits = limits

    def gates(self) -> tuple[Gate, ...]:
        """What stands in the way now; see `gates.decide`."""
        return gates.decide(observe_gates(self._record, self.plan), self._limits)

    def _must_be_open(self) -> None:
        shut = [gate for gate in self.gates() if gate.severity == "shut"]
        if shut:
            raise RefusedError(
                "a gate is shut: " + "; ".join(gate.text for gate in shut), remedy=shut[0].remedy
            )

    def cross(
        self,
        *,
        verify: bool = True,
        jobs: int = 2,
        after_resume: Callable[[], None] | None = None,
    ) -> Crossing:
        """Switch, and compare both sides as they were at that moment.

        `after_resume` is called when clients go on. Raises RefusedError when a gate is
        shut, or when it had to give up: the old side then takes writes as before, and
        nothing has changed.
        """
        self._must_be_open()
        self._observer.step("way back", "running")
        switch.disarm(self.plan)
        switch.arm(self.plan)
        self._observer.step("way back", "done")
        with guarded(self.plan, self._record.run):
            frozen = self._freeze()
            milliseconds = switch.describe(frozen, outcome.let_go(self.plan, self._record.run))
            self._observer.step("switch", "done")
        if after_resume is not None:
            after_resume()
        try:
            self._after(frozen)
            verdict = self._compare(frozen, jobs) if verify else None
        finally:
            frozen.release()
        crossing = Crossing(
            self.plan.number, self.plan.enter.role, str(frozen.lsn), milliseconds,
            frozen.ended_clients, verdict,
        )  # fmt: skip
        self._keep(crossing)
        return crossing

    def _freeze(self) -> Frozen:
        self._observer.step("switch", "running")
        try:
            return switch.freeze(self.plan, self._record.run, self._observer)
        except BaseException as error:
            self._observer.step("switch", "failed")
            outcome.undo(self.plan, self._record.run)
            if isinstance(error, DeadlineError):
                raise RefusedError(
                    f"the switch gave up: {error.message}; clients go on at the"
                    f" {self.plan.leave.role}, nothing has changed",
                    remedy=error.remedy or "end what held it, or give --pause-deadline more time",
                ) from error
            if isinstance(error, NaruError):
                raise RefusedError(
                    f"the switch failed: {error.message}; clients go on at the"
                    f" {self.plan.leave.role}, nothing has changed",
                    remedy=error.remedy,
                ) from error
            raise

    def _after(self, frozen: Frozen) -> None:
        """What need not hold the clients up: arm for good, and note where both sides stood."""
        run, plan = self._record.run, self.plan
        entered = frozen.holders[1]
        run.remember(f"fingerprint.{plan.enter.role}", fingerprint.schema_fingerprint(entered))
        with self._record.target.connect("large objects") as notes:
            Notes(notes, plan.enter.role).replace_all(entered)
        outcome.settle(plan, run)

    def _compare(self, frozen: Frozen, jobs: int) -> Verdict:
        self._observer.step("exact comparison", "running")
        options = Options(
            jobs=jobs,
            sequence_values=(_states(frozen.leave_sequences), _states(frozen.enter_sequences)),
        )
        verdict = compare(
            self.plan.leave.dsn,
            self.plan.enter.dsn,
            options=options,
            source_snapshot=frozen.leave_snapshot,
            target_snapshot=frozen.enter_snapshot,
            observer=self._observer,
        )
        self._observer.step("exact comparison", "done" if verdict.same else "failed")
        return verdict

    def _keep(self, crossing: Crossing) -> None:
        run = self._record.run
        run.figure("cutover.pause_ms", crossing.pause_ms, "ms")
        run.figure("cutover.steps", crossing.milliseconds, "ms")
        run.figure("cutover.lsn", crossing.lsn)
        verdict = crossing.verdict
        if verdict is not None:
            run.figure("verify.tables", len(verdict.tables))
            run.figure("verify.rows", verdict.rows, "rows")
            run.figure("verify.differences", verdict.differences)
            run.figure("verify.seconds", round(verdict.seconds, 2), "s")
            run.figure("verify.lsn", crossing.lsn)
            run.remember("verification", verdict.to_json()["tables"])


def _states(positions: Positions) -> dict[str, SequenceState]:
    return {
        str(relation): SequenceState(last_value, is_called)
        for relation, (last_value, is_called) in positions.items()
    }


def must_be_at(record: Record, side: str, doing: str) -> None:
    """Raise UsageError unless writes are on `side` now."""
    if record.at != side:
        raise UsageError(
            f"writes are at the {record.at} already: there is nothing to {doing}",
            remedy="see `naru migrate status`",
        )


def must_be_reachable(record: Record) -> None:
    """Raise StoppedError if a channel's slot is gone, so that the way would lose changes."""
    with record.live.connect("check") as live:
        for one in record.channels:
            if not channels.slot_exists(one, live):
                raise StoppedError(
                    f"{record.live}: slot {one.name} is gone; changes since then are not on"
                    f" the {record.other.role}",
                    remedy="naru migrate abort (or finish, to stay where writes are)",
                )
