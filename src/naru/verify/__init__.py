"""Are two databases the same: schema, rows, sequences, large objects, exactly.

The room reads two databases and gives a verdict that names every difference, or says how
far one is behind the other; it knows nothing of who moved the data.
"""

from __future__ import annotations

from naru.verify.applying import apply, must_be_quiet, sole_repair
from naru.verify.certify import certify
from naru.verify.compare import compare
from naru.verify.depict import depict
from naru.verify.digest import Digest, DigestVerdict, judge_digest
from naru.verify.digesting import take_digest
from naru.verify.equality import Equality
from naru.verify.following import flows_back
from naru.verify.held import ALWAYS, Held, HeldLimit, stop_when
from naru.verify.lag import ChannelLag, LagMeter, ReplicationLag, TableLag
from naru.verify.ledger import Ledger
from naru.verify.load import Limit, Rate, Restraint
from naru.verify.options import Options
from naru.verify.repair import Repair, RepairPlan
from naru.verify.sequences import read_sequences
from naru.verify.verdict import (
    LargeObjectDifference,
    LargeObjectVerdict,
    RowDifference,
    SchemaDifference,
    SequenceDifference,
    SequenceState,
    TableVerdict,
    Verdict,
)

__all__ = [
    "ALWAYS",
    "ChannelLag",
    "Digest",
    "DigestVerdict",
    "Equality",
    "Held",
    "HeldLimit",
    "LagMeter",
    "LargeObjectDifference",
    "LargeObjectVerdict",
    "Ledger",
    "Limit",
    "Options",
    "Rate",
    "Repair",
    "RepairPlan",
    "ReplicationLag",
    "Restraint",
    "RowDifference",
    "SchemaDifference",
    "SequenceDifference",
    "SequenceState",
    "TableLag",
    "TableVerdict",
    "Verdict",
    "apply",
    "certify",
    "compare",
    "depict",
    "flows_back",
    "judge_digest",
    "must_be_quiet",
    "read_sequences",
    "sole_repair",
    "stop_when",
    "take_digest",
]
