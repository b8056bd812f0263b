"""Faults of the primary's disk: full, or so slow that it stands still again and again."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import psycopg

from naru.drill.disk import SmallDisk, stalling
from naru.drill.drills import Run
from naru.drill.nodes import another_leads
from naru.drill.prepared import prepared
from naru.drill.stage import Stage
from naru.drill.strike import Struck, has_returned
from naru.errors import NaruError
from naru.postgres import connect, fetch_value
from naru.service import Member, damaged_members
from naru.system import wait_until

STILL_SECONDS, BETWEEN_SECONDS = 1.5, 1.0
STALL_SECONDS = 20.0
_LEAVE_BYTES = 20 * 2**20
_PATIENCE = 90.0
_MOST_MEGABYTES = 400
_WRITE = "SELECT pg_logical_emit_message(false, 'naru', repeat('x', 1000000)) IS NOT NULL"


def on_a_small_disk(strike: Callable[[Stage, Member, SmallDisk], Struck]) -> Run:
    """A run in which the primary's data lie on a small disk of their own."""

    return prepared(
        "disk",
        lambda stage, name: SmallDisk(stage.ground, name).put_on(),
        lambda stage, one: strike(stage, one, SmallDisk(stage.ground, one.name)),
    )


def fill(stage: Stage, primary: Member, disk: SmallDisk) -> Struck:
    """The disk is filled, and what clients and we write then has no place."""
    disk.fill(_LEAVE_BYTES)
    _write_until_it_breaks(stage, primary)
    leads = another_leads(stage, primary.name)
    wait_until(leads, "another primary", _PATIENCE)
    sentence = stage.service.status().protection.sentence

    def findings() -> tuple[str, ...]:
        damaged = damaged_members(stage.service)
        return (
            *(("the status did not tell that a member is away",)
              if "away" not in sentence and "only synchronous" not in sentence else ()),
            *((f"damaged pages: {damaged}",) if damaged else ()),
        )  # fmt: skip

    return Struck(
        f"the disk of {primary.name} filled",
        heal=stage.wounds.heal,
        passed=lambda status: has_returned(status, primary.name, primary.pid or 0),
        findings=findings,
        details={"said": sentence},
    )


def _write_until_it_breaks(stage: Stage, primary: Member) -> None:
    with contextlib.suppress(psycopg.Error, NaruError):
        with connect(stage.service.member(primary.name, "postgres"), purpose="drill") as line:
            for _ in range(_MOST_MEGABYTES):
                fetch_value(line, _WRITE)


def stall(stage: Stage, primary: Member, disk: SmallDisk) -> Struck:
    """The disk stands still for 1.5 s again and again: who writes or flushes waits for it."""
    began = time.monotonic()
    with stalling(disk, STILL_SECONDS, BETWEEN_SECONDS):
        while time.monotonic() - began < STALL_SECONDS:
            time.sleep(0.2)
    return Struck(
        f"the disk of {primary.name} stood still for {STILL_SECONDS:g} s out of each"
        f" {STILL_SECONDS + BETWEEN_SECONDS:g} s",
        # Its data move back to their own disk when all is measured.
        healed_at=time.time(),
    )
