"""The service as it is observed: members, election, endpoints, protection."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from naru.service import etcd, haproxy, rest
from naru.service.layout import Layout, Node
from naru.service.protection import LAGS_BYTES, Protection, ProtectionFacts, judge

_SECONDS = 2.0
SYNCHRONOUS = frozenset({"sync_standby", "quorum_standby"})
"""Roles of standbys that commits may wait for."""
_LEADS = frozenset({"primary", "master"})
_BY_SYNC_STATE = {"sync": "sync_standby", "quorum": "quorum_standby"}


@dataclass(frozen=True)
class Member:
    """A node that can be acted on: where it is, its postmaster, its data."""

    name: str
    host: str
    """Lab address."""
    address: str
    port: int
    pid: int | None
    """Process id of the postmaster; None when it does not run."""
    data: Path


@dataclass(frozen=True)
class MemberStatus:
    """A node as it and the cluster see it."""

    name: str
    host: str
    address: str
    port: int
    role: str
    """`primary`, `sync_standby`, `quorum_standby`, `replica`, or `unknown` when it is silent."""
    state: str
    """Patroni's: `running`, `streaming`, `starting`, `stopped` …; `silent` when no answer."""
    timeline: int | None
    lag_bytes: int | None
    """How far replay is behind the primary; None when unknown."""
    pid: int | None
    pending_restart: bool = False
    """A setting was changed that a restart alone brings into force."""
    election_age: float | None = None
    """Seconds since its Patroni last heard of the election; None when unknown."""
    failsafe: bool = False
    """It went by the failsafe within the last 20 s, as the election was away: for so long it takes
    the primary of then for alive, and does not take over from it."""


@dataclass(frozen=True)
class EtcdStatus:
    """A node of the election."""

    name: str
    address: str
    port: int
    healthy: bool


@dataclass(frozen=True)
class ServiceStatus:
    """The whole service at one moment."""

    cluster: str
    version: str | None
    members: tuple[MemberStatus, ...]
    etcd: tuple[EtcdStatus, ...]
    endpoints: tuple[haproxy.Endpoint, ...]
    protection: Protection
    paused: bool = False
    """Patroni was told to leave the cluster as it is: nobody takes over by himself."""

    @property
    def primary(self) -> MemberStatus | None:
        """The one primary; None when there is none, or more than one."""
        found = [one for one in self.members if one.role == "primary"]
        return found[0] if len(found) == 1 else None

    def to_json(self) -> dict[str, Any]:
        """The stable document of `naru service status --json`."""
        return asdict(self)


def postmaster_pid(node: Node) -> int | None:
    """The postmaster's process id, if it runs and stands in the node's data folder."""
    try:
        pid = int((node.data / "postmaster.pid").read_text().split()[0])
        return pid if Path(f"/proc/{pid}/cwd").readlink() == node.data.resolve() else None
    except (OSError, ValueError, IndexError):
        return None


def is_primary(node: Node) -> bool:
    """True if it holds the lock and answers as primary."""
    answer = rest.get(node.door, "/primary", _SECONDS)
    return answer is not None and answer.status == 200


def is_in_place(node: Node) -> bool:
    """It leads, or follows the primary so closely that it may be read."""
    if is_primary(node):
        return True
    path = "/replica?replication_state=streaming"
    answer = rest.get(node.door, path, _SECONDS)
    return answer is not None and answer.status == 200


def observe(layout: Layout, stats_socket: Path) -> ServiceStatus:
    """Ask every part at once; what is silent is told as such."""
    with ThreadPoolExecutor(max_workers=12) as pool:
        health = list(pool.map(etcd.is_healthy, layout.etcd))
        answers = list(pool.map(_ask_node, layout.nodes))
        ends = haproxy.endpoints(layout, stats_socket)
    cluster = _cluster_view(layout) or replication_view(answers)
    members = tuple(
        _member(node, own, cluster.get(node.name, {}))
        for node, own in zip(layout.nodes, answers, strict=True)
    )
    paused = any(one.get("pause") for one in answers)
    return ServiceStatus(
        cluster=layout.cluster,
        version=_version(answers),
        members=members,
        etcd=tuple(
            EtcdStatus(node.name, node.address, node.client_port, healthy)
            for node, healthy in zip(layout.etcd, health, strict=True)
        ),
        endpoints=ends,
        protection=judge(_facts(members, health, paused=paused)),
        paused=paused,
    )


def _facts(
    members: tuple[MemberStatus, ...], health: list[bool], *, paused: bool = False
) -> ProtectionFacts:
    return ProtectionFacts(
        members=len(members),
        primaries=tuple(one.name for one in members if one.role == "primary"),
        synchronous=tuple(
            one.name for one in members if one.role in SYNCHRONOUS and one.state == "streaming"
        ),
        streaming=tuple(one.name for one in members if one.state == "streaming"),
        etcd_healthy=sum(health),
        etcd_members=len(health),
        away={
            one.name: one.state
            for one in members
            if one.role != "primary" and one.state != "streaming"
        },
        lagging=tuple(
            one.name
            for one in members
            if one.state == "streaming" and (one.lag_bytes or 0) > LAGS_BYTES
        ),
        paused=paused,
    )


def _ask_node(node: Node) -> dict[str, Any]:
    answer = rest.get(node.door, "/patroni", _SECONDS)
    return answer.document if answer and isinstance(answer.document, dict) else {}


def _cluster_view(layout: Layout) -> dict[str, dict[str, Any]]:
    """Members by name, as the first node that answers knows them."""
    for node in layout.nodes:
        answer = rest.get(node.door, "/cluster", _SECONDS)
        if answer and isinstance(answer.document, dict) and answer.document.get("members"):
            return {one["name"]: one for one in answer.document["members"]}
    return {}


def replication_view(answers: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Standbys by name, as the primary's server has them.

    Patroni's own view needs the election. Without it writes go on while commits are confirmed,
    and whether they are, the server knows.
    """
    return {
        str(one["application_name"]): {"role": _BY_SYNC_STATE.get(one["sync_state"], "replica")}
        for own in answers
        if own.get("role") in _LEADS and own.get("state") == "running"
        for one in own.get("replication") or ()
    }


def _member(node: Node, own: dict[str, Any], seen: dict[str, Any]) -> MemberStatus:
    """The node's own word on whether it is primary; the cluster's on how it follows."""
    lag = seen.get("lag")
    running = own.get("state") == "running"
    is_primary = running and own.get("role") in _LEADS
    role = "primary" if is_primary else str(seen.get("role", "unknown")) if own else "unknown"
    if role in {"leader", "primary"} and not is_primary:
        role = "replica"
    return MemberStatus(
        name=node.name,
        host=node.host,
        address=node.address,
        port=node.port,
        role=role,
        state=str(own.get("replication_state") or own.get("state") or "silent"),
        timeline=own.get("timeline") or seen.get("timeline"),
        lag_bytes=0 if is_primary else lag if isinstance(lag, int) else None,
        pid=postmaster_pid(node),
        pending_restart=bool(own.get("pending_restart")),
        election_age=_age(own.get("dcs_last_seen")),
        failsafe=bool(own.get("failsafe_mode_is_active")),
    )


def _age(seen: object) -> float | None:
    return max(0.0, round(time.time() - seen, 1)) if isinstance(seen, int) and seen else None


def _version(answers: list[dict[str, Any]]) -> str | None:
    for own in answers:
        number = own.get("server_version")
        if isinstance(number, int):
            return f"{number // 10000}.{number % 10000}"
    return None
