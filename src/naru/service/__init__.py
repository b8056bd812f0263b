"""The highly available database service: cluster, election, endpoints, what protects the data.

PostgreSQL under Patroni with etcd on a ground's hosts, HAProxy in front. Nothing is
acknowledged before a standby has it. The old side is here too, as `Standalone`: one
self-managed server with none of this.
"""

from __future__ import annotations

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
from naru.service.election import read_keys, restore_keys
from naru.service.haproxy import Endpoint
from naru.service.layout import BACKUP_SLOT, BACKUP_USER, SUPERUSER, Node
from naru.service.protection import Protection, ProtectionFacts, judge
from naru.service.restart import Restarted, RestartPlan, plan_restart, restart
from naru.service.standalone import Standalone
from naru.service.status import EtcdStatus, Member, MemberStatus, ServiceStatus
from naru.service.switchover import Switchover, SwitchoverPlan, plan_switchover, switch_over

__all__ = [
    "BACKUP_SLOT",
    "BACKUP_USER",
    "SUPERUSER",
    "Clusters",
    "Endpoint",
    "EtcdStatus",
    "Member",
    "MemberStatus",
    "Node",
    "Place",
    "Protection",
    "ProtectionFacts",
    "RestartPlan",
    "Restarted",
    "Service",
    "ServiceStatus",
    "Standalone",
    "Switchover",
    "SwitchoverPlan",
    "base_name",
    "beside_spec",
    "judge",
    "live_spec",
    "next_place",
    "plan_restart",
    "plan_switchover",
    "read_clusters",
    "read_keys",
    "restart",
    "restore_keys",
    "switch_over",
    "write_clusters",
]
