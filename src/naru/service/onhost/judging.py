"""What the guardian does about a member, decided from facts alone.

The rules that keep two members from being primary at once:

1. The lock of a member is taken from it only after its server is proven gone, by `Verdict.FENCE`,
   which kills first, sees that nothing is left, and then deletes the lock only if it is still
   the one that the dead Patroni held.
2. Nothing is fenced on silence alone. Its Patroni must be gone or frozen *now*: a process on
   this host, looked at, not a network that does not answer.
3. A server that can only be a standby is left alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

DEAD_SECONDS = 0.5
"""Patroni and server gone for so long: the node is dead, and nobody starts it at this moment."""

FROZEN_SECONDS = 3.0
"""A server stopped by a signal for so long will not go on by itself."""

AWAY_SECONDS = 5.0
"""A Patroni gone or frozen for so long is not restarted by its supervisor."""

SILENT_SECONDS = 10.0
"""A lock that was not renewed for so long, by a Patroni that comes and goes."""


class Verdict(Enum):
    """What to do with a member."""

    WAIT = "wait"
    KILL_SERVER = "kill the server"
    """Its Patroni lives, sees that, and gives up the lock or starts the server again."""
    KILL_PATRONI = "kill Patroni"
    """The supervisor starts it again; its server, a standby, goes on."""
    FENCE = "fence"
    """Kill the server and a frozen Patroni, see that all is gone, then free the lock."""


@dataclass(frozen=True)
class Facts:
    """What was seen of one member on this host, just now."""

    patroni: str
    """`working`, `frozen` or `gone`."""
    server: str
    """`running`, `frozen` or `gone`: with `gone` no process of it is left."""
    away: float
    """Seconds for which Patroni has not been working, as seen without interruption."""
    still: float
    """Seconds for which the server has been frozen, likewise."""
    silent: float | None
    """Seconds since the last renewal of the lock was begun; None if it holds none."""
    may_write: bool
    """Whether its server may be a primary."""
    leads: bool | None
    """Whether the election names it as the leader; None if the election does not answer."""
    paused: bool = False
    """Patroni's maintenance mode: servers may run without their Patroni."""


def judge(facts: Facts) -> Verdict:
    """What to do. What cannot be proven is left to the lease."""
    if facts.paused:
        return Verdict.WAIT
    if facts.patroni == "working":
        frozen = facts.server == "frozen" and facts.still >= FROZEN_SECONDS
        return Verdict.KILL_SERVER if frozen else Verdict.WAIT
    if facts.server == "gone":
        return _without_server(facts)
    if not facts.may_write and facts.leads is not True:
        waited = facts.patroni == "frozen" and facts.away >= AWAY_SECONDS
        return Verdict.KILL_PATRONI if waited else Verdict.WAIT
    if facts.server == "frozen" and facts.still >= FROZEN_SECONDS:
        return Verdict.FENCE
    silent = facts.silent is not None and facts.silent >= SILENT_SECONDS
    return Verdict.FENCE if silent or facts.away >= AWAY_SECONDS else Verdict.WAIT


def _without_server(facts: Facts) -> Verdict:
    if facts.leads:
        return Verdict.FENCE if facts.away >= DEAD_SECONDS else Verdict.WAIT
    # Nothing serves here, and nobody waits for its lock; a frozen Patroni is started anew.
    waited = facts.patroni == "frozen" and facts.away >= AWAY_SECONDS
    return Verdict.KILL_PATRONI if waited else Verdict.WAIT
