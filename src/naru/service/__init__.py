"""The highly available database service: cluster, election, endpoints, what protects the data.

PostgreSQL under Patroni with etcd on a ground's hosts, HAProxy in front. Nothing is
acknowledged before a standby has it. The old side is here too, as `Standalone`: one
self-managed server with none of this.
"""

from __future__ import annotations

from naru.service.alarms import (
    ALARMS,
    RUNBOOKS,
    Alarm,
    AlarmFacts,
    PoolState,
    alarms_of_ground,
    alarms_of_service,
)
from naru.service.applied import Applied, AppliedFile, flatten
from naru.service.audit import AuditLine, audited_by, read_audit
from naru.service.changes import (
    ChangePlan,
    Observed,
    PlannedChange,
    Wanted,
    plan_changes,
)
from naru.service.cluster import Service
from naru.service.clusters import (
    Clusters,
    Place,
    base_name,
    beside_spec,
    live_spec,
    next_place,
    read_clusters,
    write_clusters,
)
from naru.service.damage import damaged_members
from naru.service.election import read_keys, restore_keys
from naru.service.fencing import Fenced, fenced_lately
from naru.service.haproxy import Endpoint
from naru.service.host_programs import GUARDIAN
from naru.service.in_force import Setting, settings_of
from naru.service.layout import BACKUP_SLOT, BACKUP_USER, SUPERUSER, Node
from naru.service.observing import what_is_wanted, what_there_is
from naru.service.protection import Protection, ProtectionFacts, judge
from naru.service.rebuild import RebuildPlan, Rebuilt, plan_rebuild, rebuild
from naru.service.rejoin import rejoin_election
from naru.service.restart import Restarted, RestartPlan, plan_restart, restart
from naru.service.scale import ScaleFacts, ScalePlan, WantedMembers, plan_scale
from naru.service.scaling import observe_scale, scale, unfinished_scale
from naru.service.standalone import Standalone
from naru.service.status import EtcdStatus, Member, MemberStatus, ServiceStatus
from naru.service.storage import Storage, read_storage
from naru.service.switchover import Hold, Switchover, SwitchoverPlan, plan_switchover, switch_over
from naru.service.wanted import (
    asked_for,
    recall_wanted,
    remember_wanted,
    wanted_of,
    was_cut_off,
)
from naru.service.window import Window, window_of

__all__ = [
    "ALARMS",
    "BACKUP_SLOT",
    "BACKUP_USER",
    "GUARDIAN",
    "RUNBOOKS",
    "SUPERUSER",
    "Alarm",
    "AlarmFacts",
    "Applied",
    "AppliedFile",
    "AuditLine",
    "ChangePlan",
    "Clusters",
    "Endpoint",
    "EtcdStatus",
    "Fenced",
    "Hold",
    "Member",
    "MemberStatus",
    "Node",
    "Observed",
    "Place",
    "PlannedChange",
    "PoolState",
    "Protection",
    "ProtectionFacts",
    "RebuildPlan",
    "Rebuilt",
    "RestartPlan",
    "Restarted",
    "ScaleFacts",
    "ScalePlan",
    "Service",
    "ServiceStatus",
    "Setting",
    "Standalone",
    "Storage",
    "Switchover",
    "SwitchoverPlan",
    "Wanted",
    "WantedMembers",
    "Window",
    "alarms_of_ground",
    "alarms_of_service",
    "asked_for",
    "audited_by",
    "base_name",
    "beside_spec",
    "damaged_members",
    "fenced_lately",
    "flatten",
    "judge",
    "live_spec",
    "next_place",
    "observe_scale",
    "plan_changes",
    "plan_rebuild",
    "plan_restart",
    "plan_scale",
    "plan_switchover",
    "read_audit",
    "read_clusters",
    "read_keys",
    "read_storage",
    "rebuild",
    "recall_wanted",
    "rejoin_election",
    "remember_wanted",
    "restart",
    "restore_keys",
    "scale",
    "settings_of",
    "switch_over",
    "unfinished_scale",
    "wanted_of",
    "was_cut_off",
    "what_is_wanted",
    "what_there_is",
    "window_of",
    "write_clusters",
]
