"""One database to another while clients work: assess, copy, follow, cross over, go back.

The room needs two connection strings and, to make clients wait instead of fail, the
poolers that they use. What it does is a list of steps in the journal, so any command can
be killed and run again.
"""

from __future__ import annotations

from naru.migrate.admission import admit
from naru.migrate.anew import begin_anew, must_be_whole
from naru.migrate.assess import Assessment, assess
from naru.migrate.building import Bounds
from naru.migrate.close import Closing, abort, finish
from naru.migrate.cross import (
    Crossing,
    GateShutError,
    PartlyComparedError,
    Switcher,
    must_be_at,
    settle_pending,
)
from naru.migrate.dump import DumpOptions, dump_databases
from naru.migrate.dump_manifest import Content, Manifest
from naru.migrate.follow import Lag, LagWatch, catch_up
from naru.migrate.gates import Gate, Limits
from naru.migrate.hold import sole
from naru.migrate.names import Names, Relation
from naru.migrate.plan import PooledDatabase
from naru.migrate.record import (
    Owner,
    Record,
    SeenAt,
    begin_or_resume,
    open_records,
    resume,
    set_lock_seconds,
)
from naru.migrate.restore import Restore, RestoreOptions
from naru.migrate.restore_proof import RestoredDatabase
from naru.migrate.restore_run import RestoreTask
from naru.migrate.retention import Retention
from naru.migrate.several import Crossed, cross_all, cross_one, databases_between
from naru.migrate.snapshot import set_keeping
from naru.migrate.start import Start
from naru.migrate.status import Status, observe_status
from naru.migrate.versions import proven_moves
from naru.migrate.watch import Watch, set_bound, watching
from naru.migrate.wayback import KeepsSlot, WayBack

__all__ = [
    "Assessment",
    "Bounds",
    "Closing",
    "Content",
    "Crossed",
    "Crossing",
    "DumpOptions",
    "Gate",
    "GateShutError",
    "KeepsSlot",
    "Lag",
    "LagWatch",
    "Limits",
    "Manifest",
    "Names",
    "Owner",
    "PartlyComparedError",
    "PooledDatabase",
    "Record",
    "Relation",
    "Restore",
    "RestoreOptions",
    "RestoreTask",
    "RestoredDatabase",
    "Retention",
    "SeenAt",
    "Start",
    "Status",
    "Switcher",
    "Watch",
    "WayBack",
    "abort",
    "admit",
    "assess",
    "begin_anew",
    "begin_or_resume",
    "catch_up",
    "cross_all",
    "cross_one",
    "databases_between",
    "dump_databases",
    "finish",
    "must_be_at",
    "must_be_whole",
    "observe_status",
    "open_records",
    "proven_moves",
    "resume",
    "set_bound",
    "set_keeping",
    "set_lock_seconds",
    "settle_pending",
    "sole",
    "watching",
]
