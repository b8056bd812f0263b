"""The programs of the backup host: what receives WAL, what keeps the schedule, what they read."""

from __future__ import annotations

import contextlib
import inspect
import json
from pathlib import Path
from typing import Any

from psycopg import sql

from naru.backup import receiver_program, schedule_program
from naru.backup.fetching import render_fetch
from naru.backup.store import Store, render_barman
from naru.errors import UsageError
from naru.ground import Ground, Program, reading
from naru.postgres import connect, fetch_value, scram_secret
from naru.service import BACKUP_USER, Service
from naru.spec import Spec
from naru.system import need_program, private_folder, write_atomically

RECEIVER = "backup-receiver"
SCHEDULE = "backup-schedule"

# What Barman's manual asks for a user that is no superuser.
_GRANTS = """
GRANT EXECUTE ON FUNCTION pg_switch_wal(), pg_create_restore_point(text) TO {role};
GRANT pg_read_all_settings, pg_read_all_stats TO {role};
"""
_GRANTS_15 = """
GRANT EXECUTE ON FUNCTION pg_backup_start(text, boolean), pg_backup_stop(boolean) TO {role};
GRANT pg_checkpoint TO {role};
"""
_GRANTS_OLDER = """
GRANT EXECUTE ON FUNCTION pg_start_backup(text, boolean, boolean) TO {role};
GRANT EXECUTE ON FUNCTION pg_stop_backup(boolean, boolean) TO {role};
"""


class Keeping:
    """Places the programs of one backup host; harmless for what runs as it should."""

    def __init__(self, spec: Spec, ground: Ground, service: Service, store: Store) -> None:
        self._spec = spec
        self._ground = ground
        self._service = service
        self._store = store

    def start(self) -> None:
        """Have its programs running."""
        for name, module, priority in (
            (RECEIVER, receiver_program, 250),
            (SCHEDULE, schedule_program, 600),
        ):
            path = self._ground.folder / "conf" / f"{name}.py"
            source = inspect.getsource(module)
            self._write(path, source)
            argv = (str(self._ground.python), str(path), str(self._settings_file))
            env = reading(source, self._settings_file.read_text())
            host = self._spec.backup.host
            self._ground.place(Program(name, host, argv, env, priority, stop_seconds=20))

    def stop(self) -> None:
        """Stop its programs; what they keep stays."""
        for name in (SCHEDULE, RECEIVER):
            self._ground.stop(name)

    def take_away(self) -> None:
        """Have none of its programs; what they keep stays."""
        for name in (SCHEDULE, RECEIVER):
            self._ground.remove(name)

    def prepare(self) -> None:
        """Have folders, role and files as they must be. Raises UsageError for a version that
        cannot do what is declared."""
        self._check_version()
        for folder in self._folders:
            private_folder(folder, owner=self._ground.account)
        self.prepare_role()
        self._write_files()

    @property
    def _folders(self) -> tuple[Path, ...]:
        store = self._store
        return (store.home, store.locks, store.state, store.ended, store.staging)

    def _check_version(self) -> None:
        major, days = self._service.installation.major, self._spec.backup.full_every_days
        if major < 17 and days > 1:
            raise UsageError(
                f"backup.full_every_days is {days}, and PostgreSQL {major} has no incremental"
                " backups",
                remedy="set it to 1, or service.version to 17 or newer",
            )

    def prepare_role(self) -> None:
        """Make the role that backups are taken by, with what it may do and no more."""
        password = self._ground.secrets.password("service-backup")
        self._ground.secrets.remember([self._service.address], BACKUP_USER, password)
        newer = self._service.installation.major >= 15
        grants = _GRANTS + (_GRANTS_15 if newer else _GRANTS_OLDER)
        role = sql.Identifier(BACKUP_USER)
        with connect(self._service.writer("postgres"), purpose="backup") as connection:
            known = fetch_value(
                connection, "SELECT rolpassword FROM pg_authid WHERE rolname = %s", [BACKUP_USER]
            )
            if known is None:
                secret = sql.Literal(scram_secret(password))
                connection.execute(
                    sql.SQL("CREATE ROLE {} LOGIN REPLICATION PASSWORD {}").format(role, secret)
                )
                connection.execute(sql.SQL(grants).format(role=role))

    def prepare_to_read(self) -> None:
        """Have what a restore needs as it must be; asks nobody, and starts nothing."""
        store = self._store
        self._write(
            store.config,
            render_barman(
                store,
                account=self._ground.account.name,
                address=self._service.address,
                installation=self._service.installation,
                passfile=self._ground.secrets.passfile,
                authority=self._ground.certificates.authority,
                retention_days=self._spec.backup.retention_days,
            ),
        )
        self._write(self.fetch_program, render_fetch(store))

    def _write_files(self) -> None:
        backup, store = self._spec.backup, self._store
        self.prepare_to_read()
        settings = {
            "barman": str(need_program("barman")),
            "config": str(store.config),
            "server": store.server,
            "streaming": str(store.streaming),
            "ended": str(store.ended),
            "wanted": str(self.wanted_file),
            "notes": str(self._notes_file),
            "segment_size": self._measured_segment_size(),
            "zone": self._spec.service.timezone,
            "start_hour": backup.start_hour,
            "archive_minutes": backup.archive_minutes,
            "full_every_days": backup.full_every_days,
        }
        self._write(self._settings_file, json.dumps(settings, indent=2) + "\n")

    def _measured_segment_size(self) -> int:
        with connect(self._service.writer("postgres"), purpose="backup") as connection:
            query = "SELECT setting::int8 FROM pg_settings WHERE name = 'wal_segment_size'"
            return int(fetch_value(connection, query))

    @property
    def segment_size(self) -> int:
        """Bytes of a WAL segment, as the service said when it was brought up."""
        return int(json.loads(self._settings_file.read_text())["segment_size"])

    @property
    def _settings_file(self) -> Path:
        return self._ground.folder / "conf" / "backup.json"

    @property
    def _notes_file(self) -> Path:
        return self._store.state / "schedule.json"

    def notes(self) -> dict[str, Any]:
        """What the schedule noted: when it failed last, and why; empty when it never did."""
        try:
            found: dict[str, Any] = json.loads(self._notes_file.read_text())
        except (OSError, ValueError):
            return {}
        return found

    @property
    def fetch_program(self) -> Path:
        """The script that gives recovery its WAL."""
        return self._store.fetch

    @property
    def wanted_file(self) -> Path:
        """Its existence asks the schedule for a full backup as soon as may be."""
        return self._store.state / "wanted"

    def want_full(self) -> None:
        """Ask the schedule for a full backup as soon as may be."""
        write_atomically(self.wanted_file, "", mode=0o600, owner=self._ground.account)

    def full_taken(self, since: float) -> None:
        """A full backup begun at `since` (seconds since the epoch) stands: what the schedule was
        asked for before is served, and its last failure is made good."""
        with contextlib.suppress(FileNotFoundError):
            if self.wanted_file.stat().st_mtime < since:
                self.wanted_file.unlink()
        notes = self.notes()
        if notes.get("failed") is not None and notes["failed"] < since:
            text = json.dumps({**notes, "failed": None, "trouble": None})
            write_atomically(self._notes_file, text, mode=0o600, owner=self._ground.account)

    def _write(self, path: Path, text: str) -> None:
        """Write a file that a program reads, unless it is as it should be."""
        if not path.exists() or path.read_text() != text:
            write_atomically(path, text, mode=0o600, owner=self._ground.account)
