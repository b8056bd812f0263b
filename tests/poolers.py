"""A PgBouncer that a test starts itself, on a free port, and takes away again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from psycopg import sql

from naru.errors import UnreachableError
from naru.postgres import (
    Connection,
    Dsn,
    LocalServer,
    connect,
    generate_password,
    scram_secret,
)
from naru.system import (
    give_to,
    private_folder,
    server_account,
    spawn,
    wait_until,
    write_atomically,
)
from naru.traffic import PgBouncer
from naru.traffic.console import Console
from tests.servers import free_port

ADMIN = "pooler_admin"
ADMIN_PASSWORD = "only-4-these-tests"


@dataclass
class TestPooler:
    """Entries and users are written as PgBouncer's files have them. A context manager."""

    __test__ = False

    folder: Path
    entries: str
    users: str = ""
    pool_mode: str = "transaction"
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def ini(self) -> Path:
        return self.folder / "pgbouncer.ini"

    @property
    def admin(self) -> Dsn:
        return Dsn.of("127.0.0.1", self.port, "pgbouncer", ADMIN, password=ADMIN_PASSWORD)

    @property
    def control(self) -> PgBouncer:
        return PgBouncer(self.admin, self.ini)

    def dsn(self, database: str, user: str, password: str) -> Dsn:
        return Dsn.of("127.0.0.1", self.port, database, user, password=password)

    def start(self) -> None:
        account = server_account()
        if not self.ini.exists():
            private_folder(self.folder, owner=account)
            write_atomically(self.folder / "users.txt", f'"{ADMIN}" "{ADMIN_PASSWORD}"\n'
                             + self.users, mode=0o600, owner=account)  # fmt: skip
            write_atomically(self.ini, self._text(), mode=0o600, owner=account)
        log = self.folder / "log"
        with log.open("ab") as file:
            give_to(log, account)
            program = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
            self._process = spawn(
                [program, self.ini], account=account, stdout=file, stderr=file, new_session=True
            )
        wait_until(self._ready, f"PgBouncer: {log.read_text()}", 10, every=0.02)

    def _ready(self) -> bool:
        try:
            Console(self.admin).close()
        except UnreachableError:
            return False
        return True

    def _text(self) -> str:
        return (
            f"; the pool of a test\n[databases]\n{self.entries}\n\n[pgbouncer]\n"
            f"listen_addr = 127.0.0.1\nlisten_port = {self.port}\nunix_socket_dir =\n"
            f"auth_type = scram-sha-256\nauth_file = {self.folder}/users.txt\n"
            f"admin_users = {ADMIN}\npool_mode = {self.pool_mode}\nserver_login_retry = 0.2\n"
            "ignore_startup_parameters = extra_float_digits,options\n"
        )

    def stop(self, how: signal.Signals = signal.SIGKILL) -> None:
        if self._process is not None:
            os.kill(self._process.pid, how)
            self._process.wait(timeout=20)
            self._process = None

    def __enter__(self) -> TestPooler:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


@contextmanager
def application(
    servers: Sequence[LocalServer], database: str, role: str
) -> Iterator[tuple[str, str]]:
    """The same database and the same role on all `servers`; gives its password and secret."""
    password = generate_password()
    secret = scram_secret(password)
    name, who = sql.Identifier(database), sql.Identifier(role)
    for server in servers:
        with connect(server.dsn(), purpose="test") as connection:
            _drop(connection, name, who)
            connection.execute(
                sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(who, sql.Literal(secret))
            )
            connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
    try:
        yield password, secret
    finally:
        for server in servers:
            with connect(server.dsn(), purpose="test") as connection:
                _drop(connection, name, who)


def _drop(connection: Connection, database: sql.Identifier, role: sql.Identifier) -> None:
    connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(database))
    connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(role))
