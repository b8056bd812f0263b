"""Instances restored beside the service: to look at, to compare with, to copy rows back from."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from signal import Signals
from typing import Any

from naru.backup.manager import Backups
from naru.backup.plan import RestorePlan
from naru.backup.recovery import forget_recovery, lay_down, watch
from naru.errors import MissingToolError, NaruError, RefusedError, UsageError
from naru.ground import Ground, Host, OpenSession, Program, clear_stale_pid_file, restored_hosts
from naru.postgres import (
    Connection,
    Dsn,
    Installation,
    connect,
    fetch_all,
    find_installation,
    server_command,
    write_settings,
)
from naru.service import SUPERUSER, Service
from naru.spec import Spec
from naru.system import SILENT, Observer, write_atomically

_NOTE = "restored.json"
_SESSIONS = """
    SELECT host(client_addr), client_port, usename || '@' || datname,
           pid || ' ' || backend_start
    FROM pg_stat_activity WHERE client_addr IS NOT NULL AND datname IS NOT NULL
"""
_END = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE pid || ' ' || backend_start = ANY(%s)
"""


@dataclass(frozen=True)
class Restored:
    """One instance: where it is, and the moment it shows."""

    name: str
    host: str
    """Lab address."""
    address: str
    port: int
    backup: str
    target: str
    """In words, to the transaction."""
    version: int = 0
    """The major version of its data; 0 in a note of before: the service's."""
    running: bool = False

    @property
    def program(self) -> str:
        return f"restored-{self.name}"

    def to_json(self) -> dict[str, Any]:
        """The stable document of `naru service restored --json`."""
        return asdict(self)


class Beside:
    """All instances restored beside one service."""

    def __init__(self, spec: Spec, ground: Ground, service: Service, backups: Backups) -> None:
        self._spec = spec
        self._ground = ground
        self._service = service
        self._backups = backups

    def list(self) -> tuple[Restored, ...]:
        """Every one, running or not."""
        return tuple(self._read(path) for path in sorted(self._notes()))

    def find(self, name: str) -> Restored:
        """The one called `name`. Raises UsageError, naming those there are."""
        found = {one.name: one for one in self.list()}
        if name not in found:
            there = ", ".join(found) or "none"
            raise UsageError(f"no restored instance {name!r}", remedy=f"there are: {there}")
        return found[name]

    def dsn(self, name: str, database: str | None = None) -> Dsn:
        """The superuser, at the instance called `name`; default the service's database."""
        one = self.find(name)
        chosen = database or self._spec.service.database
        return superuser_of(self._ground, (one.address, one.port), chosen)

    def restore(self, plan: RestorePlan, name: str, *, observer: Observer = SILENT) -> Restored:
        """Bring up what `plan` says as a server of its own, called `name`.

        It takes writes, which nobody else sees; no WAL of it is kept, and it replicates
        nothing. What is left of a failed one is taken away.
        """
        host = choose_host(self.list(), restored_hosts(self._spec), check_name(name))
        one = Restored(
            name, host.lab_address, self._ground.address(host.lab_address), host.ports[0][1],
            plan.backup.id, plan.target.sentence, self._service.installation.major,
        )  # fmt: skip
        folder = self._ground.data_folder(one.program)
        try:
            lay_down(self._backups, plan, folder / "pgdata", observer)
            note = json.dumps(asdict(one), indent=2)
            write_atomically(folder / _NOTE, note + "\n", owner=self._ground.account)
            self.start(one)
            watch(self._ground, one.program, self.dsn(name, "postgres"), plan, observer)
            forget_recovery(self.dsn(name, "postgres"))
        except BaseException:
            self._take_away(one)
            raise
        return self.find(name)

    def start(self, one: Restored) -> None:
        """Have it running."""
        data = self._ground.folder / "data" / one.program / "pgdata"
        place_alone(
            self._ground, self._installation(one), one.program, one.host, (one.address, one.port),
            data,
        )  # fmt: skip

    def _installation(self, one: Restored) -> Installation:
        """Its data's, which may be of a version that the service has left."""
        service = self._service.installation
        if one.version in (0, service.major):
            return service
        try:
            return find_installation(str(one.version), self._spec.ground.postgres)
        except MissingToolError as error:
            raise MissingToolError(
                f"restored instance {one.name}: {error.message}",
                remedy=f"apt-get install postgresql-{one.version}, or take it away:"
                f" naru service restored remove {one.name}",
            ) from error

    def up(self) -> None:
        """Have all of them running again, as after a power cut."""
        for one in self.list():
            self.start(one)

    def reload(self) -> None:
        """Have those that run read their settings and certificates anew."""
        for one in self.list():
            if one.running:
                self._ground.kill(one.program, Signals.SIGHUP)

    def sessions(self) -> tuple[OpenSession, ...]:
        """Every client of those that run; one that does not answer has none."""
        found: list[OpenSession] = []
        for one in self.list():
            with contextlib.suppress(NaruError):
                if one.running:
                    with self._look(one) as connection:
                        rows = fetch_all(connection, _SESSIONS)
                    found += [OpenSession(f"restored {one.name}", *row) for row in rows]
        return tuple(found)

    def end_sessions(self, sessions: Iterable[OpenSession]) -> None:
        """End those of `sessions` that are here."""
        wanted = list(sessions)
        for one in self.list():
            ours = [session.handle for session in wanted if session.door == f"restored {one.name}"]
            if ours and one.running:
                with self._look(one) as connection:
                    connection.execute(_END, [ours])

    def _look(self, one: Restored) -> Connection:
        return connect(self.dsn(one.name, "postgres"), purpose="sessions", seconds=2)

    def stop(self) -> None:
        """Stop all of them; their data stay."""
        for one in self.list():
            self._ground.stop(one.program)

    def remove(self, name: str) -> None:
        """Stop the one called `name` and delete its data."""
        self._take_away(self.find(name))

    def _take_away(self, one: Restored) -> None:
        self._ground.remove(one.program)
        shutil.rmtree(self._ground.folder / "data" / one.program, ignore_errors=True)

    def _notes(self) -> Iterator[Path]:
        return (self._ground.folder / "data").glob(f"restored-*/{_NOTE}")

    def _read(self, path: Path) -> Restored:
        document = json.loads(path.read_text())
        running = self._ground.pid(f"restored-{document['name']}") is not None
        return Restored(**{**document, "running": running})


def check_name(name: str) -> str:
    """A name for an instance. Raises UsageError for one that cannot be."""
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,29}", name):
        raise UsageError(
            f"{name!r} cannot be an instance's name",
            remedy="lower-case letters, digits and hyphens, 1 to 30, beginning with a letter",
        )
    return name


def choose_host(there: Sequence[Restored], hosts: Sequence[Host], name: str) -> Host:
    """The first host that no other instance holds. Raises RefusedError when there is none."""
    if any(one.name == name for one in there):
        raise RefusedError(
            f"there is a restored instance {name} already",
            remedy=f"`naru service restored remove {name}`, or another name with --as",
        )
    held = {one.host for one in there}
    free = [host for host in hosts if host.lab_address not in held]
    if not free:
        raise RefusedError(
            f"all {len(hosts)} places for restored instances are taken:"
            f" {', '.join(one.name for one in there)}",
            remedy="take one away with `naru service restored remove NAME`,"
            " or set backup.restored higher",
        )
    return free[0]


def superuser_of(ground: Ground, address: tuple[str, int], database: str) -> Dsn:
    """How the superuser reaches a server that `place_alone` has placed."""
    return Dsn.of(
        *address, database, SUPERUSER,
        passfile=ground.secrets.passfile,
        authority=ground.certificates.authority,
    )  # fmt: skip


def place_alone(
    ground: Ground,
    installation: Installation,
    program: str,
    host: str,
    address: tuple[str, int],
    data: Path,
) -> None:
    """Have a copy of a member run as a server of its own that disturbs nobody."""
    ground.secrets.remember([address], SUPERUSER, ground.secrets.password("service-superuser"))
    pair = ground.certificates.pair_at(address[0])
    settings = alone(program, address, data, pair, installation.major)
    lines = (f"hostssl all all {one.network} scram-sha-256\n" for one in ground.allowed())
    write_settings(data, settings, account=ground.account, hba="".join(lines))
    if ground.pid(program) is None:
        clear_stale_pid_file(data)
    else:
        ground.kill(program, Signals.SIGHUP)
    argv = tuple(server_command(installation, data))
    ground.place(Program(program, host, argv, priority=200, stop_signal="INT", stop_seconds=60))


def alone(
    name: str, address: tuple[str, int], data: Path, pair: Path, major: int
) -> dict[str, str]:
    """The settings that make it so."""
    newer = {"synchronized_standby_slots": "", "sync_replication_slots": "off",
             "summarize_wal": "off"}  # fmt: skip
    return {
        "listen_addresses": address[0],
        "port": str(address[1]),
        "unix_socket_directories": "",
        "ssl": "on",
        "ssl_cert_file": str(pair),
        "ssl_key_file": str(pair),
        "hba_file": str(data / "pg_hba.conf"),
        "ident_file": str(data / "pg_ident.conf"),
        "cluster_name": name,
        "logging_collector": "off",
        "archive_mode": "off",
        "primary_conninfo": "",
        "primary_slot_name": "",
        # Commits wait for nobody, and its subscriptions take nothing from their publishers.
        "synchronous_standby_names": "",
        "max_logical_replication_workers": "0",
        **(newer if major >= 17 else {}),
    }
