"""Backups of the service and the way back to any point in time.

Barman on a host of its own receives WAL all the time, takes base backups by schedule and on
demand, and deletes what the retention no longer needs. From them the service of any moment
comes back: beside the running one, or in its place.
"""

from __future__ import annotations

from naru.backup.beside import Beside, Restored
from naru.backup.catalogue import Backup
from naru.backup.deletion import DeletionPlan
from naru.backup.earlier import Earlier, earlier_backups, earlier_of
from naru.backup.gap import Gap
from naru.backup.in_place import InPlace
from naru.backup.in_place_state import InPlaceState
from naru.backup.losses import Loss, find_losses
from naru.backup.manager import Backups
from naru.backup.plan import Limits, Moment, RestorePlan
from naru.backup.rows import bring_rows_back, count_lost_rows
from naru.backup.target import Target, target_of

__all__ = [
    "Backup",
    "Backups",
    "Beside",
    "DeletionPlan",
    "Earlier",
    "Gap",
    "InPlace",
    "InPlaceState",
    "Limits",
    "Loss",
    "Moment",
    "RestorePlan",
    "Restored",
    "Target",
    "bring_rows_back",
    "count_lost_rows",
    "earlier_backups",
    "earlier_of",
    "find_losses",
    "target_of",
]
