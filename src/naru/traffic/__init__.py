"""Who talks to which database: poolers that can pause, re-point and resume.

`Pooler` is what a cutover needs; `PgBouncer` gives it, for the environment's own pool
(`Pool`) and for one of the user's. Knows nothing of migrations.
"""

from __future__ import annotations

from naru.traffic.hold import Hold
from naru.traffic.pgbouncer import PgBouncer
from naru.traffic.pool import Pool, find_pgbouncer
from naru.traffic.pooler import Pooler, PoolerFacts, must_be_pausable

__all__ = [
    "Hold",
    "PgBouncer",
    "Pool",
    "Pooler",
    "PoolerFacts",
    "find_pgbouncer",
    "must_be_pausable",
]
