"""The old side: an ordinary PostgreSQL server that somebody manages by hand."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from signal import Signals

from naru.errors import UnreachableError
from naru.ground import Ground, Program, clear_stale_pid_file
from naru.postgres import (
    Dsn,
    Installation,
    connect,
    find_installation,
    initialise,
    server_command,
    write_settings,
)
from naru.spec import Spec

PROGRAM = "source"
START_SECONDS = 120

_HBA = """host all all 127.0.0.0/8 scram-sha-256
host replication all 127.0.0.0/8 scram-sha-256
"""

_SETTINGS = {
    "unix_socket_directories": "",
    "wal_level": "logical",
    "max_connections": "200",
    "max_wal_senders": "20",
    "max_replication_slots": "20",
    "max_worker_processes": "24",
    "max_logical_replication_workers": "12",
    "max_locks_per_transaction": "256",
    "password_encryption": "scram-sha-256",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "wal_sender_timeout": "60s",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    # Whoever wants TLS has it; PgBouncer, which knows one way for all of its servers, does.
    "ssl": "on",
    "ssl_min_protocol_version": "TLSv1.2",
}


class Standalone:
    """The source server of an environment, run on its ground."""

    def __init__(self, spec: Spec, ground: Ground) -> None:
        self._spec = spec
        self._ground = ground

    @property
    def installation(self) -> Installation:
        return find_installation(self._spec.source.version, self._spec.ground.postgres)

    def dsn(self, database: str | None = None) -> Dsn:
        """How its superuser reaches `database` (default: the one that is to move)."""
        source = self._spec.source
        return Dsn.of(
            self._ground.address(source.host),
            source.port,
            database or source.database,
            source.superuser,
            passfile=self._ground.secrets.passfile,
        ).with_(sslmode="disable")

    def up(self) -> None:
        """Have it running and taking connections; initialised when it is new."""
        source, ground = self._spec.source, self._ground
        address = ground.address(source.host)
        password = ground.secrets.password("source-superuser")
        ground.secrets.remember([(address, source.port)], source.superuser, password)
        data = ground.data_folder(PROGRAM) / "pgdata"
        installation = self.installation
        if not data.exists():
            self._initialise(data, installation, password)
        pair = str(ground.certificates.pair(PROGRAM))
        write_settings(
            data,
            {
                **_SETTINGS,
                "ssl_cert_file": pair,
                "ssl_key_file": pair,
                "listen_addresses": address,
                "port": str(source.port),
                "timezone": self._spec.service.timezone,
            },
            account=ground.account,
            hba=_HBA,
        )
        was_running = ground.pid(PROGRAM) is not None
        if not was_running:
            clear_stale_pid_file(data)
        ground.place(
            Program(
                name=PROGRAM,
                host=source.host,
                argv=tuple(server_command(installation, data)),
                priority=200,
                stop_signal="INT",
                stop_seconds=60,
            )
        )
        if was_running:
            self.reload()
        ground.wait(PROGRAM, self._answers, f"PostgreSQL at {address}:{source.port}", START_SECONDS)

    def reload(self) -> None:
        """Have it read its settings and its certificate anew."""
        if self._ground.pid(PROGRAM) is not None:
            self._ground.kill(PROGRAM, Signals.SIGHUP)

    def _initialise(self, data: Path, installation: Installation, password: str) -> None:
        # Made aside and renamed, so that a folder called pgdata is always whole.
        partial = data.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        initialise(
            installation,
            partial,
            superuser=self._spec.source.superuser,
            password=password,
            account=self._ground.account,
        )
        partial.rename(data)

    def down(self) -> None:
        """Stop it with a fast shutdown; its data stay."""
        self._ground.stop(PROGRAM)

    def _answers(self) -> bool:
        with contextlib.suppress(UnreachableError):
            connect(self.dsn("postgres"), purpose="start").close()
            return True
        return False
