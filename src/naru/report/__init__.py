"""One page from what was measured: HTML that stands alone, and the same figures as JSON.

A `Story` holds everything that the page shows; `judge` gives its verdict; `write` makes
`report.html` and `report.json`. What was not run is said to be so, never shown as zero.
A `Certificate` is the page of one comparison for auditors, `Differences` the one for those who
mend what differs.
"""

from __future__ import annotations

from naru.report._difference_rows import ShownRow
from naru.report._values import ShownPair, ShownValue
from naru.report.certificate import (
    Certificate,
    CertifiedSide,
    CertifiedTable,
    render_certificate,
    write_certificate,
)
from naru.report.differences import (
    Differences,
    ShownFinding,
    ShownTable,
    render_differences,
    write_differences,
)
from naru.report.drills import render_drills, write_drills
from naru.report.from_journal import story_from_journal
from naru.report.page import render, write
from naru.report.story import (
    Commit,
    Copy,
    Cutover,
    Event,
    Failover,
    LagPoint,
    Ledger,
    PauseStep,
    Phase,
    Story,
    TableVerdict,
    Targets,
    Verification,
    WorkloadPoint,
    environment_of,
)
from naru.report.verdict import Verdict, judge

__all__ = [
    "Certificate",
    "CertifiedSide",
    "CertifiedTable",
    "Commit",
    "Copy",
    "Cutover",
    "Differences",
    "Event",
    "Failover",
    "LagPoint",
    "Ledger",
    "PauseStep",
    "Phase",
    "ShownFinding",
    "ShownPair",
    "ShownRow",
    "ShownTable",
    "ShownValue",
    "Story",
    "TableVerdict",
    "Targets",
    "Verdict",
    "Verification",
    "WorkloadPoint",
    "environment_of",
    "judge",
    "render",
    "render_certificate",
    "render_differences",
    "render_drills",
    "story_from_journal",
    "write",
    "write_certificate",
    "write_differences",
    "write_drills",
]
