"""The service brought to another version of PostgreSQL: minor, member by member; major, by a
second cluster beside the first one.

A major upgrade copies every database into a cluster of the next version, follows, and moves
the clients over in a pause, each database compared exactly. The old cluster follows the new
one until it is taken away, so that the way back loses nothing.
"""

from __future__ import annotations

from naru.upgrade.major import Upgrade, begin, open_upgrade
from naru.upgrade.minor import MinorPlan, plan_minor, renew, running_versions
from naru.upgrade.observe import observe
from naru.upgrade.plan import UpgradeFacts, UpgradePlan, plan_upgrade
from naru.upgrade.sides import Sides, version_of
from naru.upgrade.status import UpgradeStatus, observe_upgrade

__all__ = [
    "MinorPlan",
    "Sides",
    "Upgrade",
    "UpgradeFacts",
    "UpgradePlan",
    "UpgradeStatus",
    "begin",
    "observe",
    "observe_upgrade",
    "open_upgrade",
    "plan_minor",
    "plan_upgrade",
    "renew",
    "running_versions",
    "version_of",
]
