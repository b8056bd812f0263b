"""The plan of a switch: who leaves, who enters, which poolers; and its word in the journal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from naru.journal import Run
from naru.migrate.channel import Channel
from naru.migrate.fence import FenceState
from naru.migrate.sides import Side
from naru.traffic import Pooler

SWITCH = "switch"
"""The journal's memory of the switch in hand, while there is one: see `remember_phase`."""


@dataclass(frozen=True)
class PooledDatabase:
    """A database as clients of one pooler ask for it."""

    pooler: Pooler
    database: str


@dataclass(frozen=True)
class SwitchPlan:
    """Who leaves, who enters, and what stands between them and the clients."""

    number: int
    leave: Side
    enter: Side
    forward: tuple[Channel, ...]
    """Carry what `leave` writes to `enter`; drained and dropped by the switch."""
    back: Channel
    """Carries what `enter` will write to `leave`; armed by the switch."""
    poolers: tuple[PooledDatabase, ...]
    pause_seconds: float


def point_all(poolers: Sequence[PooledDatabase], side: Side) -> None:
    """Point every pooler at `side`; where it points there already nothing is done."""
    for pooled in poolers:
        host, port = side.dsn.host, side.dsn.port
        if not pooled.pooler.observe(pooled.database).points_at(host, port, side.dsn.database):
            pooled.pooler.point(pooled.database, host, port, side.dsn.database)


def resume_all(poolers: Sequence[PooledDatabase]) -> None:
    for pooled in poolers:
        pooled.pooler.resume(pooled.database)


def remember_phase(
    run: Run, plan: SwitchPlan, phase: str, state: FenceState, *, entrance: bool
) -> None:
    """Write the one word that decides what a crash means: `pausing` or `committed`.

    `entrance`: this switch closes the side to enter as well, until clients go on there.
    """
    run.remember(
        SWITCH,
        {
            "phase": phase,
            "number": plan.number,
            "leave": plan.leave.role,
            "forward": [one.name for one in plan.forward],
            "back": plan.back.name,
            "fence": state.to_json(),
            "entrance": entrance,
        },
    )


def fence_key(side: Side) -> str:
    """Under which the journal keeps what the fence of a side has replaced."""
    return f"fence.{side.role}"
