"""Faults, the workload that measures them, and verdicts with figures.

A `Workload` is a process of its own that notes outside the database what its clients were
told; `judge` holds that against the ledger inside. A drill breaks something on purpose
and says whether the promise held.
"""

from __future__ import annotations

from naru.drill.business import LEDGER_ALONE, Business, Change
from naru.drill.catalogue import DRILLS, choose_drills, find_drill
from naru.drill.crash import kill_primary
from naru.drill.drills import Drill
from naru.drill.gaps import Gap, commits_within, errors_within, longest_gap
from naru.drill.keep import keep_commits, keep_series
from naru.drill.leads import Lead
from naru.drill.ledger import LedgerVerdict, clean, judge, prepare
from naru.drill.mend import mend
from naru.drill.reads import ReadFigures
from naru.drill.records import Outcome, Record
from naru.drill.series import Interval, read_series
from naru.drill.settings import WorkloadSettings, WorkloadStatus
from naru.drill.stage import Stage, workload_on
from naru.drill.verdict import DrillVerdict, FaultFacts, Promise, decide, not_run
from naru.drill.workload import Workload

__all__ = [
    "DRILLS",
    "LEDGER_ALONE",
    "Business",
    "Change",
    "Drill",
    "DrillVerdict",
    "FaultFacts",
    "Gap",
    "Interval",
    "Lead",
    "LedgerVerdict",
    "Outcome",
    "Promise",
    "ReadFigures",
    "Record",
    "Stage",
    "Workload",
    "WorkloadSettings",
    "WorkloadStatus",
    "choose_drills",
    "clean",
    "commits_within",
    "decide",
    "errors_within",
    "find_drill",
    "judge",
    "keep_commits",
    "keep_series",
    "kill_primary",
    "longest_gap",
    "mend",
    "not_run",
    "prepare",
    "read_series",
    "workload_on",
]
