"""The service's parts with their addresses on a ground, and the settings that hold for all."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from pathlib import Path

from naru.ground import (
    CLIENT_CERTIFICATE,
    ETCD_CLIENT_PORT,
    ETCD_PEER_PORT,
    REST_PORT,
    Ground,
    etcd_host,
    member_host,
)
from naru.service.membership import JOINING, LEAVING, Membership, MembershipFile
from naru.service.rest import Door
from naru.spec import Spec

NAMESPACE = "/naru/"
"""What the keys of all our clusters in etcd begin with."""

SUPERUSER = "postgres"
REPLICATION_USER = "naru_replication"
REWIND_USER = "naru_rewind"
REST_USER = "naru"
BACKUP_USER = "naru_backup"
BACKUP_SLOT = "naru_backup"


@dataclass(frozen=True)
class Node:
    """A PostgreSQL node with its Patroni."""

    name: str
    host: str
    """Lab address."""
    address: str
    port: int
    rest_port: int
    data: Path
    logs: Path
    config: Path
    authority: Path
    """By what certificates are checked."""
    pair: Path
    """The file with its own key and certificate."""
    joining: bool = False
    """It is being copied for the first time: nobody waits for it yet."""
    leaving: bool = False
    """It is being taken away: nobody waits for it any more."""

    @property
    def counts(self) -> bool:
        """Whether anybody waits for it: it is neither on its way in nor on its way out."""
        return not (self.joining or self.leaving)

    @property
    def door(self) -> Door:
        """Its Patroni."""
        return Door(self.address, self.rest_port, self.authority)

    @property
    def lease(self) -> Path:
        """The shared page in which its Patroni notes until when it may lead."""
        return self.config.parent.parent / "run" / f"{self.name}.lease"

    @property
    def slot(self) -> str:
        """The physical slot that the primary keeps for it, named as Patroni does."""
        return "".join(c if c.isalnum() else "_" for c in self.name.lower())


@dataclass(frozen=True)
class EtcdNode:
    """A node of the election."""

    name: str
    host: str
    address: str
    client_port: int
    peer_port: int
    data: Path
    authority: Path
    pair: Path
    client_pair: Path
    """What naru shows: etcd lets in only who has a certificate of the environment's."""

    @property
    def door(self) -> Door:
        """Where its clients ask."""
        return Door(self.address, self.client_port, self.authority, self.client_pair)

    @property
    def client_url(self) -> str:
        return f"https://{self.address}:{self.client_port}"

    @property
    def peer_url(self) -> str:
        return f"https://{self.address}:{self.peer_port}"


@dataclass(frozen=True)
class ReadLag:
    """How far behind a standby may be that is read."""

    megabytes: int = 16
    seconds: int = 10


@dataclass(frozen=True)
class Layout:
    """Everything that the service consists of."""

    cluster: str
    nodes: tuple[Node, ...]
    etcd: tuple[EtcdNode, ...]
    address: str
    write_port: int
    read_port: int
    authority: Path
    """By what certificates are checked."""
    allowed_file: Path
    """The networks whose clients the endpoints let in, one a line."""
    read_lag: ReadLag = ReadLag()
    first_number: int = 1
    """The number of its first member, by which the sets of two clusters are told apart."""
    own_port: int = 0
    """Where this cluster alone takes writes while there are two."""

    @property
    def suffix(self) -> str:
        """What its parts in the endpoints' configuration end with; empty for the first set."""
        return "" if self.first_number == 1 else f"_{self.first_number}"


def layout_of(spec: Spec, ground: Ground, membership: Membership | None = None) -> Layout:
    """Lay the service out on the ground's addresses: who belongs to it now, not who should,
    or with another `membership` than that of now."""
    membership = membership or MembershipFile(spec, ground).read()
    return Layout(
        cluster=spec.service.cluster_name,
        nodes=tuple(
            replace(
                node_of(spec, ground, number), joining=state == JOINING, leaving=state == LEAVING
            )
            for number, state in membership.members.items()
        ),
        etcd=tuple(etcd_node_of(spec, ground, number) for number in membership.voters),
        address=ground.address(spec.service.host),
        write_port=spec.service.port,
        read_port=spec.service.read_port,
        authority=ground.certificates.authority,
        allowed_file=ground.folder / "conf" / "allowed.lst",
        first_number=spec.service.first_number,
        own_port=spec.service.own_port + (0 if spec.service.first_number == 1 else 1),
        read_lag=ReadLag(spec.service.read_lag_mb, spec.service.read_lag_seconds),
    )


def node_of(spec: Spec, ground: Ground, number: int) -> Node:
    """The PostgreSQL node of one number."""
    host, folder, certificates = member_host(spec, number), ground.folder, ground.certificates
    return Node(
        name=host.name,
        host=host.lab_address,
        address=ground.address(host.lab_address),
        port=spec.service.port,
        rest_port=REST_PORT,
        data=folder / "data" / host.name / "pgdata",
        logs=folder / "logs" / host.name,
        config=folder / "conf" / f"{host.name}.yml",
        authority=certificates.authority,
        pair=certificates.pair(host.name),
    )


def etcd_node_of(spec: Spec, ground: Ground, number: int) -> EtcdNode:
    """The election's node of one number."""
    host, certificates = etcd_host(spec, number), ground.certificates
    return EtcdNode(
        name=host.name,
        host=host.lab_address,
        address=ground.address(host.lab_address),
        client_port=ETCD_CLIENT_PORT,
        peer_port=ETCD_PEER_PORT,
        data=ground.folder / "data" / host.name,
        authority=certificates.authority,
        pair=certificates.pair(host.name),
        client_pair=certificates.pair(CLIENT_CERTIFICATE),
    )


def is_whole(data: Path) -> bool:
    """True for a data folder that a server has been started in, or could be without the label
    of a base backup: not for a copy that was cut off, whose `pg_control` comes last."""
    return (data / "global" / "pg_control").exists() and not (data / "backup_label").exists()


def data_version(layout: Layout) -> int | None:
    """The major version of the members' data; None while there are none."""
    for node in layout.nodes:
        with contextlib.suppress(OSError, ValueError):
            return int((node.data / "PG_VERSION").read_text())
    return None
