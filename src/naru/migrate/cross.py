"""Crossing over and going back: gates, the switch, and the exact comparison after it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from naru.errors import DeadlineError, NaruError, RefusedError, StoppedError, UsageError
from naru.migrate import channel as channels
from naru.migrate import fingerprint, gates, outcome, switch
from naru.migrate.channel import Channel
from naru.migrate.gate_facts import observe_gates
from naru.migrate.gates import Gate, Limits
from naru.migrate.guard import guarded, resolve
from naru.migrate.largeobjects import Notes
from naru.migrate.patience import through_a_failover
from naru.migrate.plan import SWITCH, PooledDatabase, SwitchPlan
from naru.migrate.record import Record
from naru.migrate.sequences import Positions
from naru.migrate.switch import Frozen
from naru.migrate.wayback import KeepsSlot, WayBack, secure
from naru.system import SILENT, Observer
from naru.verify import ALWAYS, HeldLimit, Options, SequenceState, Verdict, compare


class GateShutError(RefusedError):
    """A gate is shut: nothing was begun, and clients were not held."""


class PartlyComparedError(StoppedError):
    """Writes are over, and not all of both sides was compared; what was is the same."""

    def __init__(self, crossing: Crossing, message: str, remedy: str) -> None:
        super().__init__(message, remedy=remedy)
        self.crossing = crossing


@dataclass(frozen=True)
class Crossing:
    """How a switch went. `verdict` is None if the comparison was not wanted."""

    number: int
    at: str
    lsn: str
    milliseconds: dict[str, float]
    ended_clients: int
    way_back: WayBack
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
            "way_back": self.way_back.to_json(),
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


class Switcher:
    """One switch, from the gates to the comparison.

    `keeps_slot` tells whether the target's standbys have a slot, where somebody knows.
    """

    def __init__(
        self,
        record: Record,
        poolers: tuple[PooledDatabase, ...],
        limits: Limits,
        observer: Observer = SILENT,
        *,
        keeps_slot: KeepsSlot | None = None,
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
        self._keeps_slot = keeps_slot if self.plan.enter.role == "target" else None

    def gates(self) -> tuple[Gate, ...]:
        """What stands in the way now; see `gates.decide`."""
        return gates.decide(
            observe_gates(self._record, self.plan, self._limits.arrival_seconds), self._limits
        )

    def _must_be_open(self) -> None:
        shut = [gate for gate in self.gates() if gate.severity == "shut"]
        if shut:
            raise GateShutError(
                "a gate is shut: " + "; ".join(gate.text for gate in shut), remedy=shut[0].remedy
            )

    def cross(
        self,
        *,
        verify: bool = True,
        jobs: int = 2,
        stop_when: tuple[HeldLimit, ...] = ALWAYS,
        after_resume: Callable[[], None] | None = None,
    ) -> Crossing:
        """Switch, and compare both sides as they were at that moment.

        `after_resume` is called when clients go on; `stop_when` bounds what the comparison's
        snapshots hold back. Raises RefusedError when a gate is shut, or when it had to give up:
        the old side then takes writes as before, and nothing has changed. Raises
        PartlyComparedError when a bound was reached and nothing compared until then differs.
        """
        self._must_be_open()
        way_back = self._arm()
        with guarded(self.plan, self._record.run):
            frozen = self._freeze()
            milliseconds = switch.describe(frozen, outcome.let_go(self.plan, self._record.run))
            self._observer.step("switch", "done")
        try:
            if after_resume is not None:
                after_resume()
            through_a_failover(lambda: self._after(frozen), "both sides to answer again")
            crossing = Crossing(
                self.plan.number, self.plan.enter.role, str(frozen.lsn), milliseconds,
                frozen.ended_clients, way_back, None,
            )  # fmt: skip
            self._keep(crossing)
            if verify:
                crossing = replace(crossing, verdict=self._compare(frozen, jobs, stop_when))
        finally:
            frozen.release()
        if crossing.verdict is not None:
            self._keep_verdict(crossing, crossing.verdict)
        return crossing

    def _arm(self) -> WayBack:
        """Make the way back, such that a failover keeps it if that can be had."""
        self._observer.step("way back", "running")
        switch.disarm(self.plan)
        switch.arm(self.plan)
        way_back = secure(self.plan, self._keeps_slot, self._observer)
        self._observer.step("way back", "done")
        return way_back

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
        """What need not hold the clients up: arm for good, and note where both sides stood.

        That is read from the snapshot of the switch, or what a failover has left of it.
        """
        run, plan = self._record.run, self.plan
        with contextlib.ExitStack() as stack:
            entered = frozen.holders[1]
            if entered.broken:
                entered = stack.enter_context(plan.enter.connect("after the switch"))
            run.remember(f"fingerprint.{plan.enter.role}", fingerprint.schema_fingerprint(entered))
            notes = stack.enter_context(self._record.target.connect("large objects"))
            Notes(notes, plan.enter.role).replace_all(entered)
        outcome.settle(plan, run)

    def _compare(self, frozen: Frozen, jobs: int, stop_when: tuple[HeldLimit, ...]) -> Verdict:
        self._observer.step("exact comparison", "running")
        options = Options(
            jobs=jobs,
            stop_when=stop_when,
            sequence_values=(_states(frozen.leave_sequences), _states(frozen.enter_sequences)),
        )
        try:
            verdict = compare(
                self.plan.leave.dsn,
                self.plan.enter.dsn,
                options=options,
                source_snapshot=frozen.leave_snapshot,
                target_snapshot=frozen.enter_snapshot,
                observer=self._observer,
            )
        except NaruError as error:
            self._observer.step("exact comparison", "failed")
            raise StoppedError(
                f"writes are at the {self.plan.enter.role}; the comparison at the moment of the"
                f" switch was cut off, and that moment is gone: {error.message}",
                remedy="compare while changes flow: naru verify --live",
            ) from error
        whole = verdict.same and verdict.whole
        self._observer.step("exact comparison", "done" if whole else "failed")
        return verdict

    def _keep(self, crossing: Crossing) -> None:
        run = self._record.run
        run.figure("cutover.pause_ms", crossing.pause_ms, "ms")
        run.figure("cutover.steps", crossing.milliseconds, "ms")
        run.figure("cutover.lsn", crossing.lsn)

    def _keep_verdict(self, crossing: Crossing, verdict: Verdict) -> None:
        run = self._record.run
        run.figure("verify.tables", len(verdict.tables))
        run.figure("verify.rows", verdict.rows, "rows")
        run.figure("verify.differences", verdict.differences)
        run.figure("verify.seconds", round(verdict.seconds, 2), "s")
        run.figure("verify.lsn", crossing.lsn)
        run.figure("verify.not_reached", len(verdict.not_reached))
        run.figure("verify.held", verdict.method["held"])
        run.remember("verification", verdict.to_json()["tables"])
        if verdict.same and not verdict.whole:
            raise PartlyComparedError(
                crossing,
                f"writes are at the {crossing.at}; not all was compared at the moment of the"
                f" switch, and that moment is gone: {'; '.join(verdict.cut_off)}",
                "compare while changes flow: naru verify --live",
            )


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
