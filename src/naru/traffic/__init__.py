"""Who talks to which database: poolers that can pause, re-point and resume.

`Pooler` is what a cutover needs; `PgBouncer` gives it, for the environment's own pool
(`Pool`) and for one of the user's. A `Probe` meets an address as a client does. Knows
nothing of migrations.
"""

from __future__ import annotations

from naru.traffic.hold import Hold
from naru.traffic.pgbouncer import PgBouncer
from naru.traffic.pool import Pool, find_pgbouncer
from naru.traffic.pooler import Pooler, PoolerFacts, must_be_pausable
from naru.traffic.probe import Look, Outage, Probe, Tally

__all__ = [
    "Hold",
    "Look",
    "Outage",
    "PgBouncer",
    "Pool",
    "Pooler",
    "PoolerFacts",
    "Probe",
    "Tally",
    "find_pgbouncer",
    "must_be_pausable",
]
