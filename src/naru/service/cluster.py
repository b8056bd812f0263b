"""The highly available service on a ground: bring it up, reach it, stop it."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from naru.errors import RefusedError, UnreachableError, UsageError
from naru.ground import Ground, OpenSession
from naru.postgres import Dsn, Installation, connect, fetch_value, find_installation
from naru.service import failover_slots, haproxy, patroni, rest, storage
from naru.service.accounts import create_database_and_user
from naru.service.clusters import read_clusters
from naru.service.election import restore_keys
from naru.service.host_programs import GUARDIAN
from naru.service.layout import REST_USER, SUPERUSER, Layout, Node, data_version, layout_of
from naru.service.membership import Membership, MembershipFile
from naru.service.parts import HAPROXY, STATS_SOCKET, Parts
from naru.service.passing import Passing
from naru.service.sessions import end_sessions, sessions_at
from naru.service.status import Member, ServiceStatus, is_primary, observe, postmaster_pid
from naru.service.storage import Storage, place_storage_guard, read_storage
from naru.spec import Spec
from naru.system import SILENT, Observer, discard, step


class Service:
    """PostgreSQL under Patroni with etcd, and HAProxy in front."""

    def __init__(self, spec: Spec, ground: Ground) -> None:
        self._spec = spec
        self._ground = ground

    # Up and down

    def up(self, observer: Observer = SILENT) -> None:
        """Have all of it running, with a primary, its standbys, the endpoints and the database.

        Harmless when it is up. Raises DeadlineError or ProcessError with the last words of
        the part that does not come up.
        """
        self._data_must_fit()
        passing = self._leave_plain(observer)
        parts = self._parts
        passwords = parts.passwords()
        parts.clear_half_made()
        with step(observer, "service: election"):
            parts.election.place()
            if passing is not None:
                passing.arrive()
        with step(observer, "service: members"):
            parts.place_members(passwords)
            Passing(self._ground, self.layout).forget()
            parts.apply_configuration(passwords)
            parts.place_guardian()
        with step(observer, "service: endpoints"):
            parts.place_haproxy(self.takes_writes)
        with step(observer, "service: database"):
            create_database_and_user(self._spec.service, self.writer("postgres"), self.password)
        with step(observer, "service: storage guard"):
            self.guard_storage()

    def up_members(self, observer: Observer = SILENT) -> None:
        """Have the members running and following, and nothing else: no endpoint leads there."""
        self._data_must_fit()
        passwords = self._parts.passwords()
        with step(observer, f"service: members of {self.layout.cluster}"):
            self._parts.place_members(passwords)
            self._parts.apply_configuration(passwords)
            self._parts.place_guardian()

    def apply_settings(self) -> None:
        """Bring the running cluster to the settings of now; a member that is away gets them
        when it comes back."""
        passwords = self._parts.passwords()
        self._parts.write_configurations(passwords)
        self._parts.apply_configuration(passwords)

    def up_endpoints(self) -> None:
        """Have HAProxy run with what the clusters are now; sessions end when that is news."""
        self._parts.place_haproxy(self.takes_writes)

    def guard(self) -> None:
        """Have the guardian watch the members that there are now, and no others."""
        self._parts.place_guardian()

    def lead_here(self, other: Layout) -> None:
        """Let the service's ports lead to this cluster instead of `other`, now and for good.

        Both must be behind HAProxy already. Sessions that read at `other` end.
        """
        self._parts.keep_live()
        haproxy.lead_to(self.layout, other, self._parts.live_map, self._stats_socket)
        self.guard_storage()

    def guard_storage(self) -> None:
        """Have the guard of the data's size watch the members of now."""
        place_storage_guard(self._spec, self._ground, self.layout, self.writer("postgres"))

    def take_away(self) -> None:
        """Stop the members for good, and remove their data and their keys in etcd."""
        self.stop_members()
        layout, parts = self.layout, self._parts
        for node in layout.nodes:
            self._ground.remove(node.name)
            discard(node.data.parent)
            for path in (node.config, node.config.with_suffix(".sh"), node.lease):
                path.unlink(missing_ok=True)
        parts.forget()
        restore_keys(layout, {})
        for node in layout.nodes:
            self._ground.certificates.forget(node.name)

    @property
    def _parts(self) -> Parts:
        return self.parts(self.layout)

    def parts(self, layout: Layout) -> Parts:
        """What places the parts of `layout`."""
        return Parts(
            self._spec,
            self._ground,
            layout,
            installation=self.installation,
            user_password=self.password,
            beside=self._other,
        )

    @property
    def _other(self) -> Layout | None:
        """The other cluster of an upgrade, while there is one."""
        clusters = read_clusters(self._ground.folder)
        if clusters is None:
            return None
        others = [one for one in clusters.all if one.name != self._spec.service.cluster_name]
        return layout_of(others[0].of(self._spec), self._ground) if others else None

    def _data_must_fit(self) -> None:
        """Raise UsageError when the data are of another major version than what is declared."""
        have, wanted = data_version(self.layout), self._spec.service.version
        if have is not None and wanted.isdecimal() and wanted != str(have):
            raise UsageError(
                f"service.version is {wanted}, and the data of {self.layout.cluster} are of {have}",
                remedy=f'write version = "{have}" in naru.toml, and bring the service to {wanted}'
                f" by `naru service upgrade --to {wanted}`",
            )

    @property
    def is_plain(self) -> bool:
        """True if it was brought up before everything in it spoke TLS. It has to stop for that:
        members that speak TLS and members that do not would not find each other."""
        return any(patroni.is_plain(node.config) for node in self.layout.nodes)

    def _leave_plain(self, observer: Observer) -> Passing | None:
        """Stop a service without TLS; what its election keeps, where that has to begin anew."""
        if not self.is_plain:
            return None
        if self._other is not None:
            raise RefusedError(
                f"cluster {self.layout.cluster} was made without TLS, and a major upgrade of it is"
                " under way",
                remedy="finish or abort that by the naru that began it; then this one goes on",
            )
        self.down()
        if len(self.layout.etcd) == 1:
            return None
        passing = Passing(self._ground, self.layout)
        with step(observer, "service: election without TLS"):
            passing.leave()
        return passing

    def down(self) -> None:
        """Stop it in order: the endpoints, the standbys, the primary, the election; data stay.

        Standbys go first, so that no one is promoted while the cluster ends.
        """
        primary = self._leading()
        self._ground.stop(storage.PROGRAM)
        self._ground.stop(HAPROXY)
        self._ground.stop(GUARDIAN)
        self._stop_members(primary)
        for node in self.layout.etcd:
            self._ground.stop(node.name)

    def stop_members(self) -> str | None:
        """Stop the standbys, then the primary, and nothing else; who the primary was."""
        primary = self._leading()
        self._stop_members(primary)
        return primary

    def _leading(self) -> str | None:
        """Who is primary: as it says itself, else where HAProxy sends writes."""
        for node in self.layout.nodes:
            if is_primary(node):
                return node.name
        return next(iter(self.write_nodes()), None)

    def reload(self) -> None:
        """Have every part read anew its certificate and whom it trusts; no session ends.

        By signals, which arrive also where certificates have expired. etcd reads its own at
        every handshake.
        """
        for node in self.layout.nodes:
            if self._ground.pid(node.name) is not None:
                self._ground.kill(node.name, signal.SIGHUP)
            if (pid := postmaster_pid(node)) is not None:
                os.kill(pid, signal.SIGHUP)
        haproxy.trust(self._stats_socket, self.layout.authority)

    def _stop_members(self, primary: str | None) -> None:
        with ThreadPoolExecutor() as pool:
            standbys = [node.name for node in self.layout.nodes if node.name != primary]
            list(pool.map(self._ground.stop, standbys))
        if primary is not None:
            self._ground.stop(primary)

    # Reaching it

    @property
    def layout(self) -> Layout:
        """All parts with their addresses. Raises UsageError before the ground is up."""
        return self.layout_with(self.membership.read())

    def layout_with(self, membership: Membership) -> Layout:
        """The layout as it would be with `membership`."""
        return layout_of(self._spec, self._ground, membership)

    @property
    def membership(self) -> MembershipFile:
        """Who belongs to the service now, whatever the spec asks for."""
        return MembershipFile(self._spec, self._ground)

    @property
    def spec(self) -> Spec:
        """What is asked for."""
        return self._spec

    @property
    def ground(self) -> Ground:
        """Where it runs."""
        return self._ground

    @property
    def installation(self) -> Installation:
        """The programs that the members run. Data stay with the major version that made them."""
        wanted = self._spec.service.version
        if not wanted.isdecimal():
            with contextlib.suppress(UsageError):
                wanted = str(data_version(self.layout) or wanted)
        return find_installation(wanted, self._spec.ground.postgres)

    @property
    def password(self) -> str:
        """The service user's password: the spec's, or the generated one."""
        given = self._spec.service.password
        return self._ground.secrets.password(
            f"service-{self._spec.service.user}", given.get_secret_value() if given else None
        )

    def writer(self, database: str | None = None) -> Dsn:
        """The superuser, through the endpoint for writes; default the service's database."""
        return self._dsn(self.layout.address, self._spec.service.port, database)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the endpoint for writes, on this ground."""
        return self._ground.address(self._spec.service.host), self._spec.service.port

    def own_writer(self, database: str | None = None) -> Dsn:
        """As `writer`, at the port that leads to this cluster alone, while there are two."""
        return self._dsn(self.layout.address, self.layout.own_port, database)

    @property
    def own_address(self) -> tuple[str, int]:
        """Host and port of `own_writer`, on this ground; outside of upgrades nobody is there."""
        return self.layout.address, self.layout.own_port

    def reader(self, database: str | None = None) -> Dsn:
        """The superuser, through the endpoint for reads."""
        return self._dsn(self.layout.address, self._spec.service.read_port, database)

    def member(self, name: str, database: str | None = None) -> Dsn:
        """The superuser, directly at one node."""
        node = self._node(name)
        return self._dsn(node.address, node.port, database)

    def _dsn(self, host: str, port: int, database: str | None) -> Dsn:
        name = database or self._spec.service.database
        return Dsn.of(
            host, port, name, SUPERUSER,
            passfile=self._ground.secrets.passfile,
            authority=self._ground.certificates.authority,
        )  # fmt: skip

    # Watching it, and hurting it

    def status(self) -> ServiceStatus:
        """Observe every part now; never raises for a part that is silent."""
        return observe(self.layout, self._stats_socket)

    def primary(self) -> Member:
        """The node that holds the lock and answers as primary. Raises UnreachableError."""
        for node in self.layout.nodes:
            if is_primary(node):
                return self._as_member(node)
        raise UnreachableError(
            f"cluster {self._spec.service.cluster_name} has no primary now",
            remedy="see `naru service status`",
        )

    def members(self) -> tuple[Member, ...]:
        """All nodes, whatever their role."""
        return tuple(self._as_member(node) for node in self.layout.nodes)

    def kill_postmaster(self, name: str) -> int:
        """kill -9 the postmaster of node `name`, as a crash would; give its process id."""
        pid = postmaster_pid(self._node(name))
        if pid is None:
            raise UsageError(f"no postmaster runs for {name}")
        os.kill(pid, signal.SIGKILL)
        return pid

    def sessions(self) -> tuple[OpenSession, ...]:
        """Every client at the endpoints, with the address that it comes from."""
        return sessions_at(self._stats_socket)

    def end_sessions(self, sessions: Iterable[OpenSession]) -> None:
        """End those of `sessions` that are at the endpoints."""
        ours = {one.handle for one in sessions}
        end_sessions(self._stats_socket, (one for one in self.sessions() if one.handle in ours))

    def storage(self) -> Storage | None:
        """How full the members are, as the guard saw it last; None before its first look."""
        return read_storage(self._ground)

    def write_nodes(self) -> tuple[str, ...]:
        """Every node that a new session at the write endpoint may reach now."""
        return haproxy.routes(self._stats_socket, f"writes{self.layout.suffix}")

    def command(self, name: str, method: str, path: str, document: Any, *, seconds: float) -> None:
        """Tell the Patroni of node `name` to do something. Raises ServerError when it refuses."""
        node = self._node(name)
        rest.send(
            method, node.door, path, document,
            user=REST_USER, password=self._ground.secrets.password("service-rest"),
            seconds=seconds,
        )  # fmt: skip

    def slot_survives(self, slot: str) -> bool:
        """True when every standby has the failover slot `slot` so that a failover keeps it.

        A new slot gets there once its consumer has moved on a little; before, it is lost.
        """
        return failover_slots.on_all(self._standbys(), slot, hasten=False)

    def keep_slot(self, slot: str) -> bool:
        """As `slot_survives`, and let standbys that do not know the slot look for it at once.

        By themselves they look for new slots every half minute, or when they are told to
        read their configuration again.
        """
        return failover_slots.on_all(self._standbys(), slot, hasten=True)

    def _standbys(self) -> list[Dsn]:
        nodes = [one for one in self.layout.nodes if one.counts and not is_primary(one)]
        return [self.member(one.name, "postgres") for one in nodes]

    def _as_member(self, node: Node) -> Member:
        return Member(
            node.name, node.host, node.address, node.port, postmaster_pid(node), node.data
        )

    def _node(self, name: str) -> Node:
        nodes = {node.name: node for node in self.layout.nodes}
        if name not in nodes:
            raise UsageError(f"no member {name!r}", remedy=f"there are {', '.join(nodes)}")
        return nodes[name]

    @property
    def _stats_socket(self) -> Path:
        return self._ground.socket_path(STATS_SOCKET)

    def takes_writes(self) -> bool:
        """True once the write endpoint leads to a primary, and to nothing that was not checked."""
        if not haproxy.is_settled(self._stats_socket):
            return False
        if not haproxy.endpoints(self.layout, self._stats_socket)[0].up:
            return False
        with contextlib.suppress(UnreachableError):
            with connect(self.writer("postgres"), purpose="up", seconds=2) as connection:
                return not fetch_value(connection, "SELECT pg_is_in_recovery()")
        return False
