"""Whether the way back survives a failover of the side that was entered.

A slot made on a primary is on its standbys only after a while; until then a failover loses
it, and with it the way back. So it is made, and waited for, before clients are held.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import psycopg

from naru.errors import DeadlineError
from naru.migrate import channel as channels
from naru.migrate.plan import SwitchPlan
from naru.migrate.sides import explained
from naru.postgres import Connection, fetch_value
from naru.system import SILENT, Deadline, Observer

KEPT_SECONDS = 60.0
"""How long standbys may take to have a new slot: their worker sleeps for up to 30 s."""

_EVERY = 0.3
_FAILOVER = "SELECT failover FROM pg_catalog.pg_replication_slots WHERE slot_name = %s"

KeepsSlot: TypeAlias = Callable[[str], bool]
"""Whether every standby of a service has a slot, so that a failover keeps it."""


@dataclass(frozen=True)
class WayBack:
    """What carries changes back, and what a failover would do to it."""

    slot: str
    survives: bool | None
    """Whether a failover keeps it; None where there is none, or where nobody can see."""
    reason: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def secure(plan: SwitchPlan, keeps_slot: KeepsSlot | None, observer: Observer = SILENT) -> WayBack:
    """Wait until the standbys of the side to enter have the slot of the way back.

    `keeps_slot` asks them. Without it, or without a slot that can survive, there is nothing
    to wait for; the answer says so.
    """
    slot, role = plan.back.name, plan.enter.role
    with plan.enter.connect("way back") as enter, explained(plan.enter, "securing the way back"):
        if not _standbys(enter):
            return WayBack(slot, None, f"the {role} has no standby that a failover could go to")
        if enter.info.server_version < 170000:
            return WayBack(
                slot, False,
                f"a failover of the {role} loses it: before PostgreSQL 17 no standby has"
                " the slots of its primary",
            )  # fmt: skip
        if not fetch_value(enter, _FAILOVER, [slot]):
            return WayBack(
                slot, False,
                f"a failover of the {role} loses it: our login at the {plan.leave.role} may not"
                " call pg_replication_origin_advance",
            )  # fmt: skip
        if keeps_slot is None:
            return WayBack(
                slot, None,
                f"a failover of the {role} keeps it once pg_replication_slots on each standby"
                " shows it as synced, and not temporary",
            )  # fmt: skip
        return _wait(plan, enter, keeps_slot, observer)


def _wait(
    plan: SwitchPlan, enter: Connection, keeps_slot: KeepsSlot, observer: Observer
) -> WayBack:
    slot, role = plan.back.name, plan.enter.role
    deadline = Deadline(KEPT_SECONDS, f"the standbys to have slot {slot}")
    if enter.vigil:
        # Moving a slot waits for the standbys, and one may go away.
        enter.vigil.until = deadline
    try:
        while not keeps_slot(slot):
            deadline.check()
            _hasten(plan, enter)
            time.sleep(_EVERY)
    except DeadlineError:
        reason = (
            f"a failover of the {role} may lose it: its standbys do not all have slot {slot}"
            f" after {KEPT_SECONDS:g} s"
        )
        observer.note(reason)
        return WayBack(slot, False, reason)
    return WayBack(slot, True, f"a failover of the {role} keeps it")


def _hasten(plan: SwitchPlan, enter: Connection) -> None:
    """Let the slot move past a new snapshot of the running transactions.

    Standbys take a slot over only from where they can begin to decode themselves.
    """
    with contextlib.suppress(psycopg.errors.InsufficientPrivilege):
        enter.execute("SELECT pg_catalog.pg_log_standby_snapshot()")
    channels.advance_slot(plan.back, enter)


def _standbys(at: Connection) -> int:
    query = """
        SELECT count(*) FROM pg_catalog.pg_stat_replication r
        LEFT JOIN pg_catalog.pg_replication_slots s ON s.active_pid = r.pid
        WHERE r.state = 'streaming' AND coalesce(s.slot_type, 'physical') = 'physical'
    """
    return int(fetch_value(at, query))


def absent_standbys(at: Connection) -> tuple[str, ...]:
    """Slots of standbys that are away, and that logical consumers have to wait for."""
    query = """
        SELECT pg_catalog.btrim(name) FROM pg_catalog.unnest(pg_catalog.string_to_array(
            coalesce(current_setting('synchronized_standby_slots', true), ''), ',')) AS name
        WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_replication_slots
                          WHERE slot_name = pg_catalog.btrim(name) AND active)
        ORDER BY 1
    """
    return tuple(row[0] for row in at.execute(query))
