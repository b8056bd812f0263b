"""The service's parts as programs on a ground: what they are configured with, how they start."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from naru.errors import MissingToolError
from naru.ground import Ground, Program, clear_stale_pid_file, reading
from naru.postgres import Installation, lacks_tls
from naru.service import audit, haproxy, haproxy_live, parameters, patroni, rest
from naru.service.etcd_parts import EtcdParts
from naru.service.host_programs import (
    member_script,
    place_guardian,
    write_if_new,
    write_programs,
)
from naru.service.layout import (
    REPLICATION_USER,
    REST_USER,
    REWIND_USER,
    SUPERUSER,
    Layout,
    Node,
    is_whole,
)
from naru.service.membership import MembershipFile
from naru.service.status import is_in_place, is_primary, postmaster_pid
from naru.spec import Spec
from naru.system import discard, need_program, private_folder, wait_until, write_atomically

HAPROXY = "haproxy"
STATS_SOCKET = "haproxy.sock"
MEMBERS_SECONDS = 180
ENDPOINT_SECONDS = 30


class Parts:
    """Places every part of one service; harmless for what runs as it should."""

    def __init__(
        self,
        spec: Spec,
        ground: Ground,
        layout: Layout,
        *,
        installation: Installation,
        user_password: str,
        beside: Layout | None = None,
    ) -> None:
        self._spec = spec
        self._ground = ground
        self._layout = layout
        self._installation = installation
        self._user_password = user_password
        self._beside = beside
        self._stats_socket = ground.socket_path(STATS_SOCKET)
        self._membership = MembershipFile(spec, ground)
        self.election = EtcdParts(spec, ground, layout)

    def passwords(self) -> patroni.Passwords:
        secrets = self._ground.secrets
        found = patroni.Passwords(
            superuser=secrets.password("service-superuser"),
            replication=secrets.password("service-replication"),
            rewind=secrets.password("service-rewind"),
            rest=secrets.password("service-rest"),
        )
        nodes = [(node.address, node.port) for node in self._layout.nodes]
        ends = [
            (self._layout.address, self._layout.write_port),
            (self._layout.address, self._layout.read_port),
            (self._layout.address, self._layout.own_port),
        ]
        secrets.remember(nodes + ends, SUPERUSER, found.superuser)
        secrets.remember(nodes + ends, self._spec.service.user, self._user_password)
        secrets.remember(nodes, REPLICATION_USER, found.replication)
        secrets.remember(nodes, REWIND_USER, found.rewind)
        return found

    @property
    def _founded(self) -> Path:
        """Exists from the moment that the cluster had its first primary."""
        return self._ground.folder / "data" / f"{self._spec.service.cluster_name}.founded"

    def forget(self) -> None:
        """Let a cluster of this name begin anew."""
        self._founded.unlink(missing_ok=True)
        self._membership.forget()

    def clear_half_made(self) -> None:
        """Begin anew where the very first start was cut off: nothing was ever stored there.

        A half-made data folder never becomes a server, and etcd that was cut off in its
        first second never elects a leader.
        """
        programs = [one.name for one in self._layout.etcd] + [
            one.name for one in self._layout.nodes
        ]
        if self._founded.exists() or any(self._ground.pid(name) for name in programs):
            return
        for data in _first_data(self._layout):
            shutil.rmtree(data, ignore_errors=True)

    def place_members(self, passwords: patroni.Passwords) -> None:
        """A new cluster begins with its first node; an old one with all, who know each other.

        Raises MissingToolError when the members' PostgreSQL was built without TLS.
        """
        if lacks_tls(self._installation):
            raise MissingToolError(
                f"{self._installation} was built without TLS, and the service speaks nothing else",
                remedy="install one that was built with OpenSSL, such as the distribution's",
            )
        self.write_configurations(passwords)
        if not self._founded.exists():
            first = self._layout.nodes[0]
            self._place_member(first)
            self._wait_for(first, lambda: is_primary(first), "the first primary")
            write_atomically(self._founded, "", owner=self._ground.account)
        self._membership.begin()
        for node in self._layout.nodes:
            # One that leaves may hold what nobody else has, as long as its data are there.
            if not node.leaving or node.data.exists():
                self._place_member(node)
        for node in (one for one in self._layout.nodes if one.counts):
            self._wait_for(node, _probe(is_in_place, node), f"{node.name} to follow or lead")

    def write_configurations(self, passwords: patroni.Passwords) -> None:
        """What members read when they start."""
        write_programs(self._ground)
        for node in self._layout.nodes:
            self._write_configuration(node, passwords)

    def place_guardian(self) -> None:
        """Have the guardian watch the members of this ground."""
        both = [one for one in (self._layout, self._beside) if one is not None]
        place_guardian(self._ground, self._spec.service.host, both)

    def place_member(self, node: Node, passwords: patroni.Passwords) -> None:
        """Have one member running; it copies the primary if it has no data.

        One on its way in that does not run begins anew: another one must lead.
        """
        write_programs(self._ground)
        self._write_configuration(node, passwords)
        self._place_member(node, anew=True)

    def configure_members(self, passwords: patroni.Passwords, *, always: bool = False) -> None:
        """Let every member that runs know who belongs now, without a restart.

        `always`: also where nothing changed, so that it looks for the election's nodes.
        """
        for node in self._layout.nodes:
            changed = self._write_configuration(node, passwords)
            if (changed or always) and self._ground.pid(node.name) is not None:
                rest.send(
                    "POST", node.door, "/reload", {},
                    user=REST_USER, password=passwords.rest, seconds=10,
                )  # fmt: skip

    def _wait_for(self, node: Node, probe: Callable[[], bool], what: str) -> None:
        self._ground.wait(node.name, probe, what, MEMBERS_SECONDS)

    def _place_member(self, node: Node, *, anew: bool = False) -> None:
        if self._ground.pid(node.name) is None:
            # Half a copy, or what a member of its number left, is never the start of a server.
            # A whole one may have led meanwhile: at a start nothing that it has is given up.
            begins = node.joining and (anew or not is_whole(node.data))
            if begins and postmaster_pid(node) is None:
                discard(node.data)
            clear_stale_pid_file(node.data)
        self._ground.data_folder(node.name)
        private_folder(node.logs, owner=self._ground.account)
        self._ground.place(program_of(self._ground, node))

    def _write_configuration(self, node: Node, passwords: patroni.Passwords) -> bool:
        service, installation = self._spec.service, self._installation
        text = patroni.render(
            self._layout,
            node,
            bin_folder=installation.bin,
            callback=self._write_callback(node, installation),
            major=installation.major,
            passwords=passwords,
            settings=self._settings(),
            encoding=service.encoding,
            locale=service.locale,
            backup=self._spec.backup.enabled,
            alone=len(self._layout.nodes) == 1,
        )
        return self._write(node.config, text)

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
        kind = audit.kind_of(self._spec, self._installation)
        return parameters.overlay(self._spec, self._installation.major, kind)

    def apply_configuration(self, passwords: patroni.Passwords) -> None:
        """Bring a cluster that exists to the settings of today; without effect on a new one.

        What the guard of the data's size has set stays: it alone takes that back.
        """
        wanted = patroni.dynamic_configuration(
            self._installation.major,
            self._settings(),
            endpoint=self._layout.address,
            backup=self._spec.backup.enabled,
            alone=len(self._layout.nodes) == 1,
        )
        node = wait_until(
            lambda: next((one for one in self._layout.nodes if is_primary(one)), None),
            f"a primary of cluster {self._layout.cluster}",
            MEMBERS_SECONDS,
        )
        answer = rest.get(node.door, "/config", 5)
        if answer is not None and isinstance(answer.document, dict):
            there = (answer.document.get("postgresql") or {}).get("parameters") or {}
            if parameters.GUARDED in there:
                guarded = {parameters.GUARDED: there[parameters.GUARDED]}
                wanted["postgresql"]["parameters"] |= guarded
        if answer is None or answer.document != wanted:
            rest.send(
                "PUT", node.door, "/config", wanted,
                user=REST_USER, password=passwords.rest, seconds=10,
            )  # fmt: skip

    @property
    def live_map(self) -> Path:
        """Says, while there are two clusters, which one the endpoints lead to."""
        return self._ground.folder / "conf" / "haproxy.live"

    def keep_live(self) -> None:
        """Let an HAProxy that starts from now on lead to this cluster."""
        self._write(self.live_map, haproxy.render_live(self._layout))

    def place_haproxy(self, takes_writes: Callable[[], bool]) -> None:
        """Running as the layout says. Members that came or went are told to it while it runs, so
        that no session is lost; anything else needs a restart."""
        path = self._ground.folder / "conf" / "haproxy.cfg"
        networks = "".join(f"{one.network}\n" for one in self._ground.allowed())
        others = self._write(self._layout.allowed_file, networks)
        live = None if self._beside is None else self.live_map
        self.keep_live()
        wanted = haproxy.render_haproxy(
            self._layout, self._stats_socket, beside=self._beside, live=live
        )
        pid = self._ground.pid(HAPROXY)
        self._write(path, wanted)
        self._ground.place(self._haproxy_reading(path, haproxy.without_servers(wanted)))
        if pid is not None and self._ground.pid(HAPROXY) == pid:
            # Always: whoever wrote the file before may have been cut off.
            if not haproxy.allow(self._stats_socket, self._layout.allowed_file) and others:
                self._ground.restart(HAPROXY)
            for layout in filter(None, (self._layout, self._beside)):
                haproxy_live.converge(layout, self._stats_socket)
        self._ground.wait(HAPROXY, takes_writes, "the write endpoint", ENDPOINT_SECONDS)

    def _haproxy_reading(self, path: Path, text: str) -> Program:
        return Program(
            HAPROXY,
            self._spec.service.host,
            (str(need_program("haproxy")), "-db", "-f", str(path)),
            env=reading(text),
            priority=500,
            stop_signal="TERM",
        )

    def _write(self, path: Path, text: str) -> bool:
        """Write a configuration; True if it was another one before."""
        return write_if_new(self._ground, path, text)


def program_of(ground: Ground, node: Node) -> Program:
    """How a member is run."""
    return Program(
        name=node.name,
        host=node.host,
        argv=(str(ground.python), str(member_script(ground)), str(node.config)),
        priority=300,
        stop_signal="TERM",
        stop_seconds=60,
    )


def _first_data(layout: Layout) -> list[Path]:
    """What the parts make at their first start."""
    return [*(node.data / "member" for node in layout.etcd), *(node.data for node in layout.nodes)]


def _probe(check: Callable[[Node], bool], node: Node) -> Callable[[], bool]:
    return lambda: check(node)
