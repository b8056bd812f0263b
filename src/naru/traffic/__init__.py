"""Who talks to which database: poolers that can pause, re-point and resume.

`Pooler` is what a cutover needs; `PgBouncer` gives it, for the environment's own pool
(`Pool`) and for one of the user's. A `Probe` meets an address as a client does. Knows
nothing of migrations.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from naru.traffic.hold import Hold
from naru.traffic.pgbouncer import PgBouncer
from naru.traffic.pooler import Pooler, PoolerFacts, must_be_pausable
from naru.traffic.probe import Look, Outage, Probe, Tally
from naru.traffic.sizing import PoolUse, Sizing, SizingFacts, judge_sizing

if TYPE_CHECKING:
    from naru.traffic.pool import Pool, find_pgbouncer

__all__ = [
    "Hold",
    "Look",
    "Outage",
    "PgBouncer",
    "Pool",
    "PoolUse",
    "Pooler",
    "PoolerFacts",
    "Probe",
    "Sizing",
    "SizingFacts",
    "Tally",
    "find_pgbouncer",
    "judge_sizing",
    "must_be_pausable",
]


def __getattr__(name: str) -> Any:
    """The environment's own pool, when it is asked for: with it come the service and the ground,
    which nobody needs who migrates between two addresses."""
    if name in {"Pool", "find_pgbouncer"}:
        return getattr(importlib.import_module("naru.traffic.pool"), name)
    raise AttributeError(f"module {__name__} has no attribute {name}")
