"""The service's parts as programs on a ground: what they are configured with, how they start."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from naru.errors import MissingToolError
from naru.ground import Ground, Program, clear_stale_pid_file
from naru.postgres import Installation, lacks_tls
from naru.service import audit, etcd, haproxy, onhost, parameters, patroni, rest
from naru.service.clusters import base_name
from naru.service.layout import (
    NAMESPACE,
    REPLICATION_USER,
    REST_USER,
    REWIND_USER,
    SUPERUSER,
    EtcdNode,
    Layout,
    Node,
)
from naru.service.status import is_in_place, is_primary
from naru.spec import Spec
from naru.system import need_program, private_folder, wait_until, write_atomically

N = TypeVar("N", Node, EtcdNode)

HAPROXY = "haproxy"
GUARDIAN = "guardian"
STATS_SOCKET = "haproxy.sock"
ETCD_SECONDS = 30
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

    def place_etcd(self) -> None:
        binary = need_program("etcd")
        for node in self._layout.etcd:
            self._ground.data_folder(node.name)
            argv = etcd.etcd_command(
                binary, node, self._layout.etcd, base_name(self._layout.cluster)
            )
            self._ground.place(Program(node.name, node.host, argv, priority=100))
        for node in self._layout.etcd:
            self._ground.wait(
                node.name, _probe(etcd.is_healthy, node), f"{node.name} to be well", ETCD_SECONDS
            )

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
        for node in self._layout.nodes:
            self._place_member(node)
        for node in self._layout.nodes:
            self._wait_for(node, _probe(is_in_place, node), f"{node.name} to follow or lead")

    def write_configurations(self, passwords: patroni.Passwords) -> None:
        """What members read when they start."""
        self._write_programs()
        for node in self._layout.nodes:
            self._write_configuration(node, passwords)

    def _write_programs(self) -> str:
        """Copy what runs beside the servers; gives what tells this version of it from others."""
        source, conf = Path(onhost.__file__).parent, self._ground.folder / "conf"
        private_folder(conf / source.name, owner=self._ground.account)
        texts = {conf / source.name / one.name: one.read_text() for one in source.glob("*.py")}
        for name in ("member", "watchdog", GUARDIAN):
            texts[conf / f"{name}.py"] = _ENTRY.format(package=source.name, name=name)
        for path, text in texts.items():
            self._write(path, text)
        whole = "".join(texts[path] for path in sorted(texts))
        return hashlib.sha256(whole.encode()).hexdigest()[:10]

    def place_guardian(self) -> None:
        """Have the guardian watch the members of this ground; another version of it is started
        anew."""
        path = self._ground.folder / "conf" / f"{GUARDIAN}.json"
        self._write(path, json.dumps(self._guardian_settings(), indent=2) + "\n")
        script, version = path.with_suffix(".py"), self._write_programs()
        argv = (str(self._ground.python), str(script), str(path), version)
        self._ground.place(Program(GUARDIAN, self._spec.service.host, argv, priority=450))

    def _guardian_settings(self) -> dict[str, Any]:
        layouts = [self._layout] if self._beside is None else [self._layout, self._beside]
        return {
            "etcd": [[one.address, one.client_port] for one in self._layout.etcd],
            "tls": {
                "ca": str(self._layout.authority),
                "certificate": str(self._layout.etcd[0].client_pair),
                "key": str(self._layout.etcd[0].client_pair),
            },
            "members": [
                {
                    "name": node.name,
                    "prefix": f"{NAMESPACE}{layout.cluster}/",
                    "data": str(node.data),
                    "record": str(self._ground.record(node.name)),
                    "lease": str(node.lease),
                }
                for layout in sorted(layouts, key=lambda one: one.cluster)
                for node in layout.nodes
            ],
        }

    def _wait_for(self, node: Node, probe: Callable[[], bool], what: str) -> None:
        self._ground.wait(node.name, probe, what, MEMBERS_SECONDS)

    def _place_member(self, node: Node) -> None:
        if self._ground.pid(node.name) is None:
            clear_stale_pid_file(node.data)
        self._ground.data_folder(node.name)
        private_folder(node.logs, owner=self._ground.account)
        self._ground.place(program_of(self._ground, node))

    def _write_configuration(self, node: Node, passwords: patroni.Passwords) -> None:
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
        path = self._ground.folder / "conf" / "haproxy.cfg"
        networks = "".join(f"{one.network}\n" for one in self._ground.allowed())
        others = self._write(self._layout.allowed_file, networks)
        live = None if self._beside is None else self.live_map
        self.keep_live()
        text = haproxy.render_haproxy(
            self._layout, self._stats_socket, beside=self._beside, live=live
        )
        changed = self._write(path, text)
        argv = (str(need_program("haproxy")), "-db", "-f", str(path))
        was_running = self._ground.pid(HAPROXY) is not None
        self._ground.place(
            Program(HAPROXY, self._spec.service.host, argv, priority=500, stop_signal="TERM")
        )
        if changed and was_running:
            self._ground.restart(HAPROXY)
        elif others and was_running:
            self._let_in()
        self._ground.wait(HAPROXY, takes_writes, "the write endpoint", ENDPOINT_SECONDS)

    def _let_in(self) -> None:
        if not haproxy.allow(self._stats_socket, self._layout.allowed_file):
            self._ground.restart(HAPROXY)

    def _write(self, path: Path, text: str) -> bool:
        """Write a configuration; True if it was another one before."""
        with contextlib.suppress(OSError):
            if path.read_text() == text:
                return False
        write_atomically(path, text, mode=0o600, owner=self._ground.account)
        return True


def member_script(ground: Ground) -> Path:
    """What every member runs."""
    return ground.folder / "conf" / "member.py"


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


_ENTRY = """from {package}.{name} import main

if __name__ == "__main__":
    main()
"""


def _first_data(layout: Layout) -> list[Path]:
    """What the parts make at their first start."""
    return [*(node.data / "member" for node in layout.etcd), *(node.data for node in layout.nodes)]


def _probe(check: Callable[[N], bool], node: N) -> Callable[[], bool]:
    return lambda: check(node)
