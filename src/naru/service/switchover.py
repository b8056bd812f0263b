"""A planned change of the primary: decided from what was observed, done while clients wait."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

from psycopg import sql

from naru.errors import DeadlineError, RefusedError, UsageError
from naru.postgres import Connection, Dsn, connect, fetch_value
from naru.service.status import SYNCHRONOUS, MemberStatus, ServiceStatus
from naru.system import SILENT, Observer, wait_until

PROMOTION_SECONDS = 30
SETTLE_SECONDS = 30
MOST_LAG = 16_777_216
"""Bytes that a candidate may be behind in replay: it has to replay them while clients wait."""

DEAF_SECONDS = 4.0
"""A member whose Patroni has not heard of the election for so long may not notice at once that
the lead is free; it looks every second."""

_EVERY = 0.02
_COMMIT = "SELECT pg_logical_emit_message(true, 'naru', 'switchover')"
"""A transaction with nothing in it but WAL: its commit waits for a standby like any other."""


@dataclass(frozen=True)
class SwitchoverPlan:
    """Which member leaves the lead, which takes it, and what to know before."""

    leave: str
    enter: str
    warnings: tuple[str, ...] = ()


def plan_switchover(status: ServiceStatus, to: str | None = None) -> SwitchoverPlan:
    """Decide who may take over: `to`, or the synchronous standby that is closest.

    Raises UsageError for a member that there is not, RefusedError with the reason and the
    remedy when a switchover could not end well now.
    """
    primary = status.primary
    if primary is None:
        raise _refused(status, f"there is no single primary: {status.protection.sentence}")
    if sum(one.healthy for one in status.etcd) * 2 <= len(status.etcd):
        raise _refused(status, "the election (etcd) has no majority")
    writes = [one.nodes for one in status.endpoints if one.purpose == "writes"]
    if writes != [(primary.name,)]:
        raise _refused(status, f"the write endpoint does not lead to {primary.name} alone")
    others = {one.name: one for one in status.members if one is not primary}
    if to is not None and to not in others:
        if to == primary.name:
            raise RefusedError(f"{to} is the primary already", remedy="name another member")
        raise UsageError(f"no member {to!r}", remedy=f"there are {', '.join(others)}")
    wanted = [others[to]] if to is not None else list(others.values())
    hindrances = {one.name: hindrance(one, primary) for one in wanted}
    fit = [one for one in wanted if hindrances[one.name] is None]
    if not fit:
        why = "; ".join(f"{name} {reason}" for name, reason in hindrances.items())
        raise _refused(status, f"nobody can take over from {primary.name}: {why or 'it is alone'}")
    enter = min(fit, key=lambda one: (one.lag_bytes or 0, one.name))
    return SwitchoverPlan(primary.name, enter.name, tuple(_warnings(primary, others, enter)))


def hindrance(candidate: MemberStatus, primary: MemberStatus) -> str | None:
    """Why `candidate` may not take over from `primary` now; None when it may."""
    if candidate.state != "streaming":
        return f"does not stream (it is {candidate.state})"
    if candidate.role not in SYNCHRONOUS:
        return "is not synchronous: it may lack acknowledged commits"
    if candidate.timeline != primary.timeline:
        return f"is on timeline {candidate.timeline}, the primary on {primary.timeline}"
    if candidate.lag_bytes is None or candidate.lag_bytes > MOST_LAG:
        return f"is {candidate.lag_bytes or 'an unknown number of'} bytes behind"
    if candidate.election_age is not None and candidate.election_age > DEAF_SECONDS:
        return f"has not heard of the election for {candidate.election_age:g} s"
    if candidate.failsafe:
        return "went by the failsafe just now, as etcd was away: for 20 s it does not take over"
    return None


def _warnings(
    primary: MemberStatus, others: Mapping[str, MemberStatus], enter: MemberStatus
) -> Iterator[str]:
    if not any(one.state == "streaming" for one in others.values() if one is not enter):
        yield (
            f"no third member streams: clients wait until {primary.name} is back as a standby,"
            " some seconds longer"
        )


def _refused(status: ServiceStatus, why: str) -> RefusedError:
    return RefusedError(
        f"cluster {status.cluster}: no switchover now: {why}",
        remedy="see `naru service status`; `naru up` starts what does not run; then start over",
    )


@dataclass(frozen=True)
class Switchover:
    """What was done, and where the time went."""

    leave: str
    enter: str
    steps: Mapping[str, float]
    """Milliseconds of each step, in order; clients wait from `pause` to `resume`."""
    held_ms: float
    """How long clients were held back."""
    at: float
    """When the hold began, since the epoch."""

    def to_json(self) -> dict[str, Any]:
        """The stable document of `naru service switchover --json`."""
        return {
            "from": self.leave,
            "to": self.enter,
            "at": self.at,
            "held_ms": round(self.held_ms, 1),
            "steps": {name: round(ms, 1) for name, ms in self.steps.items()},
        }


@dataclass
class Stopwatch:
    """Laps by name, in milliseconds."""

    laps: dict[str, float] = field(default_factory=dict)
    _since: float = field(default_factory=time.monotonic)

    def lap(self, name: str) -> None:
        """The time since the last lap belongs to `name`."""
        now = time.monotonic()
        self.laps[name] = self.laps.get(name, 0.0) + (now - self._since) * 1000
        self._since = now


class Hold(Protocol):
    """What keeps clients waiting, and lets them go on when its block is left, however that
    happens; `naru.traffic.Hold` is one."""

    def __enter__(self) -> Hold: ...

    def __exit__(self, *_: object) -> None: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...


class Switchable(Protocol):
    """What is switched; `naru.service.Service` is one."""

    def member(self, name: str, database: str | None = None) -> Dsn: ...

    def write_nodes(self) -> tuple[str, ...]: ...

    def command(
        self, name: str, method: str, path: str, document: Any, *, seconds: float
    ) -> None: ...


def switch_over(
    service: Switchable, plan: SwitchoverPlan, hold: Hold, *, observer: Observer = SILENT
) -> Switchover:
    """Carry out `plan` while clients are held; they go on whatever happens.

    They go on when the new primary takes writes, a standby confirms them, and the write
    endpoint leads there. Raises DeadlineError when clients cannot be held, or for the part
    that did not come about; ServerError when Patroni refuses.
    """
    watch = Stopwatch()
    _checkpoint(service.member(plan.leave, "postgres"))
    watch.lap("checkpoint")
    with connect(service.member(plan.enter, "postgres"), purpose="switchover") as entering, hold:
        watch.lap("guard")
        at, began = time.time(), time.monotonic()
        hold.pause()
        watch.lap("pause")
        observer.note(f"clients wait; {plan.enter} takes over from {plan.leave}")
        _promote(service, plan, entering)
        watch.lap("promote")
        _settle(service, plan, entering, watch)
        hold.resume()
        watch.lap("resume")
        held_ms = (time.monotonic() - began) * 1000
    return Switchover(plan.leave, plan.enter, watch.laps, held_ms, at)


def _checkpoint(leaving: Dsn) -> None:
    """What the checkpoint at shutdown has left to write is time that clients wait."""
    with connect(leaving, purpose="switchover") as connection:
        connection.execute("CHECKPOINT")


def _promote(service: Switchable, plan: SwitchoverPlan, entering: Connection) -> None:
    """Ask Patroni, and look for oneself: its answer comes up to a second after the fact."""
    order = {"leader": plan.leave, "candidate": plan.enter}
    with _in_background(
        lambda: service.command(plan.leave, "POST", "/switchover", order, seconds=PROMOTION_SECONDS)
    ) as answer:

        def promoted() -> bool:
            if answer.done() and answer.exception() is not None:
                answer.result()
            return not fetch_value(entering, "SELECT pg_is_in_recovery()")

        wait_until(promoted, f"{plan.enter} to be promoted", PROMOTION_SECONDS, every=_EVERY)


def _settle(
    service: Switchable, plan: SwitchoverPlan, entering: Connection, watch: Stopwatch
) -> None:
    wait_until(
        lambda: service.write_nodes() == (plan.enter,),
        f"the write endpoint to lead to {plan.enter}",
        SETTLE_SECONDS,
        every=_EVERY,
    )
    watch.lap("endpoint")
    # What pg_stat_replication shows is no proof: one that followed this member before still
    # streams the old timeline. A commit that came back is.
    entering.execute(sql.SQL("SET statement_timeout = {}").format(SETTLE_SECONDS * 1000))
    waited = time.monotonic()
    entering.execute(_COMMIT)
    if time.monotonic() - waited >= SETTLE_SECONDS:
        raise DeadlineError(f"no standby confirmed a commit of {plan.enter}")
    watch.lap("standby")


@contextlib.contextmanager
def _in_background(act: Callable[[], None]) -> Iterator[Future[None]]:
    """Run `act` beside the block. Its thread is not waited for: it has its own deadline."""
    pool = ThreadPoolExecutor(max_workers=1)
    try:
        yield pool.submit(act)
    finally:
        pool.shutdown(wait=False)
