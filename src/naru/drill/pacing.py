"""When each transaction is due: an open loop, which does not wait for slow answers.

A client that is late works off what it missed, and each transaction's latency counts from
when it was due. So a stall is measured at its full length (no coordinated omission).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pacing:
    """`rate` transactions a second over all `clients` together, evenly interleaved."""

    rate: float
    clients: int

    def due(self, client: int, sequence: int) -> float:
        """Seconds after the start at which the client's transaction (from 0) is due."""
        return (sequence * self.clients + client) / self.rate


def backoff(failures: int) -> float:
    """Seconds to wait before reconnecting after so many failures in a row."""
    return float(min(0.2, 0.02 * 2 ** min(failures - 1, 5))) if failures else 0.0
