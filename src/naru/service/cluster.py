"""The highly available service on a ground: bring it up, reach it, stop it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from naru.errors import UnreachableError, UsageError
from naru.ground import Ground, Program, clear_stale_pid_file
from naru.postgres import Dsn, Installation, connect, fetch_value, find_installation
from naru.service import etcd, haproxy, member_program, patroni, rest
from naru.service.accounts import create_database_and_user
from naru.service.layout import (
    REPLICATION_USER,
    REST_USER,
    REWIND_USER,
    SUPERUSER,
    EtcdNode,
    Layout,
    Node,
    layout_of,
)
from naru.service.status import Member, ServiceStatus, observe, postmaster_pid
from naru.spec import Spec
from naru.system import SILENT, Observer, need_program, private_folder, wait_until, write_atomically

N = TypeVar("N", Node, EtcdNode)

HAPROXY = "haproxy"
ETCD_SECONDS = 30
MEMBERS_SECONDS = 180
ENDPOINT_SECONDS = 30


_SYNCED_SLOT = """
SELECT true FROM pg_replication_slots
WHERE slot_name = %s AND synced AND NOT temporary AND invalidation_reason IS NULL
"""


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
        layout = self.layout
        passwords = self._passwords(layout)
        self._clear_half_made(layout)
        with _step(observer, "election"):
            self._place_etcd(layout)
        with _step(observer, "members"):
            self._place_members(layout, passwords)
            self._apply_configuration(layout, passwords)
        with _step(observer, "endpoints"):
            self._place_haproxy(layout)
        with _step(observer, "database"):
            create_database_and_user(self._spec.service, self.writer("postgres"), self.password)

    def down(self) -> None:
        """Stop it in order: the endpoints, the standbys, the primary, the election; data stay.

        Standbys go first, so that no one is promoted while the cluster ends.
        """
        layout = self.layout
        primary = next((n.name for n in layout.nodes if self._is_primary(n)), None)
        self._ground.stop(HAPROXY)
        with ThreadPoolExecutor() as pool:
            standbys = [node.name for node in layout.nodes if node.name != primary]
            list(pool.map(self._ground.stop, standbys))
        if primary is not None:
            self._ground.stop(primary)
        for node in layout.etcd:
            self._ground.stop(node.name)

    # Reaching it

    @property
    def layout(self) -> Layout:
        """All parts with their addresses. Raises UsageError before the ground is up."""
        return layout_of(self._spec, self._ground)

    @property
    def installation(self) -> Installation:
        return find_installation(self._spec.service.version, self._spec.ground.postgres)

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
        return self.layout.address, self.layout.write_port

    def reader(self, database: str | None = None) -> Dsn:
        """The superuser, through the endpoint for reads."""
        return self._dsn(self.layout.address, self._spec.service.read_port, database)

    def member(self, name: str, database: str | None = None) -> Dsn:
        """The superuser, directly at one node."""
        node = self._node(name)
        return self._dsn(node.address, node.port, database)

    def _dsn(self, host: str, port: int, database: str | None) -> Dsn:
        name = database or self._spec.service.database
        return Dsn.of(host, port, name, SUPERUSER, passfile=self._ground.secrets.passfile)

    # Watching it, and hurting it

    def status(self) -> ServiceStatus:
        """Observe every part now; never raises for a part that is silent."""
        return observe(self.layout, self._stats_socket)

    def primary(self) -> Member:
        """The node that holds the lock and answers as primary. Raises UnreachableError."""
        for node in self.layout.nodes:
            if self._is_primary(node):
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

    def write_nodes(self) -> tuple[str, ...]:
        """Every node that a new session at the write endpoint may reach now."""
        return haproxy.routes(self._stats_socket)

    def command(self, name: str, method: str, path: str, document: Any, *, seconds: float) -> None:
        """Tell the Patroni of node `name` to do something. Raises ServerError when it refuses."""
        node = self._node(name)
        rest.send(
            method, node.address, node.rest_port, path, document,
            user=REST_USER, password=self._ground.secrets.password("service-rest"),
            seconds=seconds,
        )  # fmt: skip

    def slot_survives(self, slot: str) -> bool:
        """True when every standby has the failover slot `slot` so that a failover keeps it.

        A new slot gets there once its consumer has moved on a little; before, it is lost.
        """
        standbys = [node for node in self.layout.nodes if not self._is_primary(node)]
        return bool(standbys) and all(self._has_slot(node, slot) for node in standbys)

    def _has_slot(self, node: Node, slot: str) -> bool:
        with contextlib.suppress(UnreachableError):
            with connect(self.member(node.name, "postgres"), purpose="slots") as connection:
                return bool(fetch_value(connection, _SYNCED_SLOT, [slot]))
        return False

    def _as_member(self, node: Node) -> Member:
        return Member(
            node.name, node.host, node.address, node.port, postmaster_pid(node), node.data
        )

    def _node(self, name: str) -> Node:
        nodes = {node.name: node for node in self.layout.nodes}
        if name not in nodes:
            raise UsageError(f"no member {name!r}", remedy=f"there are {', '.join(nodes)}")
        return nodes[name]

    # The parts

    @property
    def _stats_socket(self) -> Path:
        return self._ground.socket_path("haproxy.sock")

    @property
    def _member_program(self) -> Path:
        return self._ground.folder / "conf" / "member.py"

    def _passwords(self, layout: Layout) -> patroni.Passwords:
        secrets = self._ground.secrets
        found = patroni.Passwords(
            superuser=secrets.password("service-superuser"),
            replication=secrets.password("service-replication"),
            rewind=secrets.password("service-rewind"),
            rest=secrets.password("service-rest"),
        )
        nodes = [(node.address, node.port) for node in layout.nodes]
        ends = [(layout.address, layout.write_port), (layout.address, layout.read_port)]
        secrets.remember(nodes + ends, SUPERUSER, found.superuser)
        secrets.remember(nodes + ends, self._spec.service.user, self.password)
        secrets.remember(nodes, REPLICATION_USER, found.replication)
        secrets.remember(nodes, REWIND_USER, found.rewind)
        return found

    @property
    def _founded(self) -> Path:
        """Exists from the moment that the cluster had its first primary."""
        return self._ground.folder / "data" / f"{self._spec.service.cluster_name}.founded"

    def _clear_half_made(self, layout: Layout) -> None:
        """Begin anew where the very first start was cut off: nothing was ever stored there.

        A half-made data folder never becomes a server, and etcd that was cut off in its
        first second never elects a leader.
        """
        programs = [one.name for one in layout.etcd] + [one.name for one in layout.nodes]
        if self._founded.exists() or any(self._ground.pid(name) for name in programs):
            return
        for data in _first_data(layout):
            shutil.rmtree(data, ignore_errors=True)

    def _place_etcd(self, layout: Layout) -> None:
        binary = need_program("etcd")
        for node in layout.etcd:
            self._ground.data_folder(node.name)
            argv = etcd.etcd_command(binary, node, layout.etcd, layout.cluster)
            self._ground.place(Program(node.name, node.host, argv, priority=100))
        for node in layout.etcd:
            self._ground.wait(
                node.name, _probe(etcd.is_healthy, node), f"{node.name} to be well", ETCD_SECONDS
            )

    def _place_members(self, layout: Layout, passwords: patroni.Passwords) -> None:
        """A new cluster begins with its first node; an old one with all, who know each other."""
        self._write(self._member_program, Path(member_program.__file__).read_text())
        for node in layout.nodes:
            self._write_configuration(layout, node, passwords)
        if not self._founded.exists():
            first = layout.nodes[0]
            self._place_member(first)
            self._wait_for(first, lambda: self._is_primary(first), "the first primary")
            write_atomically(self._founded, "", owner=self._ground.account)
        for node in layout.nodes:
            self._place_member(node)
        for node in layout.nodes:
            self._wait_for(node, _probe(self._is_in_place, node), f"{node.name} to follow or lead")

    def _wait_for(self, node: Node, probe: Callable[[], bool], what: str) -> None:
        self._ground.wait(node.name, probe, what, MEMBERS_SECONDS)

    def _place_member(self, node: Node) -> None:
        if self._ground.pid(node.name) is None:
            clear_stale_pid_file(node.data)
        self._ground.data_folder(node.name)
        private_folder(node.logs, owner=self._ground.account)
        self._ground.place(
            Program(
                name=node.name,
                host=node.host,
                argv=(str(self._ground.python), str(self._member_program), str(node.config)),
                priority=300,
                stop_signal="TERM",
                stop_seconds=60,
            )
        )

    def _write_configuration(
        self, layout: Layout, node: Node, passwords: patroni.Passwords
    ) -> None:
        service, installation = self._spec.service, self.installation
        text = patroni.render(
            layout,
            node,
            bin_folder=installation.bin,
            callback=self._write_callback(node, installation),
            major=installation.major,
            passwords=passwords,
            settings=self._settings(),
            encoding=service.encoding,
            locale=service.locale,
        )
        self._write(node.config, text)

    def _write_callback(self, node: Node, installation: Installation) -> Path | None:
        if installation.major < 17:
            return None
        script, sql = node.config.with_suffix(".sh"), node.config.with_name("stale_slots.sql")
        text = patroni.render_callback(
            node,
            bin_folder=installation.bin,
            passfile=self._ground.secrets.passfile,
            sql=sql,
        )
        self._write(sql, patroni.DROP_STALE_SLOTS)
        self._write(script, text)
        return script

    def _settings(self) -> dict[str, str]:
        service = self._spec.service
        return {"timezone": service.timezone, "log_timezone": service.timezone, **service.settings}

    def _apply_configuration(self, layout: Layout, passwords: patroni.Passwords) -> None:
        """Bring a cluster that exists to the settings of today; without effect on a new one."""
        wanted = patroni.dynamic_configuration(self.installation.major, self._settings())
        node = wait_until(
            lambda: next((one for one in layout.nodes if self._is_primary(one)), None),
            f"a primary of cluster {layout.cluster}",
            MEMBERS_SECONDS,
        )
        answer = rest.get(node.address, node.rest_port, "/config", 5)
        if answer is None or answer.document != wanted:
            rest.send(
                "PUT", node.address, node.rest_port, "/config", wanted,
                user=REST_USER, password=passwords.rest, seconds=10,
            )  # fmt: skip

    def _place_haproxy(self, layout: Layout) -> None:
        path = self._ground.folder / "conf" / "haproxy.cfg"
        changed = self._write(path, haproxy.render_haproxy(layout, self._stats_socket))
        argv = (str(need_program("haproxy")), "-db", "-f", str(path))
        was_running = self._ground.pid(HAPROXY) is not None
        self._ground.place(
            Program(HAPROXY, self._spec.service.host, argv, priority=500, stop_signal="TERM")
        )
        if changed and was_running:
            self._ground.restart(HAPROXY)

        self._ground.wait(HAPROXY, self._takes_writes, "the write endpoint", ENDPOINT_SECONDS)

    def _write(self, path: Path, text: str) -> bool:
        """Write a configuration; True if it was another one before."""
        with contextlib.suppress(OSError):
            if path.read_text() == text:
                return False
        write_atomically(path, text, mode=0o600, owner=self._ground.account)
        return True

    # Facts

    def _is_primary(self, node: Node) -> bool:
        answer = rest.get(node.address, node.rest_port, "/primary", 2)
        return answer is not None and answer.status == 200

    def _takes_writes(self) -> bool:
        if not haproxy.is_settled(self._stats_socket):
            return False
        if not haproxy.endpoints(self.layout, self._stats_socket)[0].up:
            return False
        with contextlib.suppress(UnreachableError):
            with connect(self.writer("postgres"), purpose="up", seconds=2) as connection:
                return not fetch_value(connection, "SELECT pg_is_in_recovery()")
        return False

    def _is_in_place(self, node: Node) -> bool:
        """It leads, or follows the primary so closely that it may be read."""
        if self._is_primary(node):
            return True
        answer = rest.get(node.address, node.rest_port, "/replica?replication_state=streaming", 2)
        return answer is not None and answer.status == 200


def _first_data(layout: Layout) -> list[Path]:
    """What the parts make at their first start."""
    return [*(node.data / "member" for node in layout.etcd), *(node.data for node in layout.nodes)]


def _probe(check: Callable[[N], bool], node: N) -> Callable[[], bool]:
    return lambda: check(node)


@contextlib.contextmanager
def _step(observer: Observer, part: str) -> Iterator[None]:
    title = f"service: {part}"
    observer.step(title, "running")
    try:
        yield
    except BaseException:
        observer.step(title, "failed")
        raise
    observer.step(title, "done")
