"""The environment's own PgBouncer: the address that applications use."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from signal import Signals

from naru.errors import MissingToolError, NaruError, UnreachableError
from naru.ground import Ground, OpenSession, Program
from naru.postgres import Dsn, scram_secret
from naru.service import Service
from naru.spec import Spec
from naru.system import write_atomically
from naru.system.sockets import hang_up
from naru.traffic.console import Console
from naru.traffic.hold import LONGEST_SECONDS, Hold
from naru.traffic.inifile import quoted
from naru.traffic.observing import clients
from naru.traffic.pgbouncer import PgBouncer
from naru.traffic.sizing import Sizing, judge_sizing, observe_sizing
from naru.traffic.users import parse_users, read_secrets, render_users

ADMIN = "naru_pool_admin"
START_SECONDS = 20
_RELOAD_SECONDS = 1.0

_SETTINGS = """\
;; Written by naru at every start. Where databases point stands in the included file.
%include {databases}

[pgbouncer]
listen_addr = {host}
listen_port = {port}
unix_socket_dir =
auth_type = hba
auth_hba_file = {hba}
client_tls_sslmode = require
client_tls_protocols = secure
client_tls_cert_file = {pair}
client_tls_key_file = {pair}
server_tls_sslmode = {server_mode}
server_tls_protocols = secure
server_tls_ca_file = {authority}
auth_file = {users}
admin_users = {admin}
ignore_startup_parameters = extra_float_digits,options

pool_mode = transaction
default_pool_size = {pool_size}
max_client_conn = {max_clients}
listen_backlog = {max_clients}

;; A failover is over within seconds: try again at once, and let clients wait that long.
server_login_retry = 0.2
server_connect_timeout = 3
query_wait_timeout = 120
server_check_delay = 5
server_lifetime = 1800
server_idle_timeout = 120
server_fast_close = 1

;; A peer that went silent is noticed within about half a minute.
tcp_keepalive = 1
tcp_keepidle = 10
tcp_keepintvl = 5
tcp_keepcnt = 3
tcp_user_timeout = 30000

log_connections = 0
log_disconnections = 0
log_stats = 0
"""


class Pool:
    """PgBouncer at `spec.traffic`, in transaction pooling, run by the ground."""

    PROGRAM = "pool"

    def __init__(self, spec: Spec, ground: Ground) -> None:
        self._spec = spec
        self._ground = ground

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, on this ground."""
        return self._ground.address(self._spec.traffic.host), self._spec.traffic.port

    @property
    def pooler(self) -> PgBouncer:
        """Its control."""
        return PgBouncer(self.dsn(ADMIN, "pgbouncer"), self._folder / "databases.ini")

    def dsn(self, user: str, database: str) -> Dsn:
        """How a client reaches `database` through the pool.

        The password is in the environment's passfile once `remember` was told it.
        """
        host, port = self.address
        return Dsn.of(
            host, port, database, user,
            passfile=self._ground.secrets.passfile,
            authority=self._ground.certificates.authority,
        )  # fmt: skip

    def remember(self, user: str, password: str) -> None:
        """Keep a user's password in the passfile, for `dsn`."""
        self._ground.secrets.remember([self.address], user, password)

    def up(self, *, verify: bool = True) -> None:
        """Have it running with the current settings. Where databases point stays as it was;
        the first time, the source's points at the source and the service's at the service.

        Without `verify` it also takes servers that do not speak TLS yet.
        """
        self._write_files("verify-full" if verify else "prefer")
        was_running = self.is_running
        config = str(self._folder / "pgbouncer.ini")
        self._ground.place(
            Program(
                self.PROGRAM,
                self._spec.traffic.host,
                (find_pgbouncer(), config),
                priority=900,
                stop_seconds=5,
            )
        )
        if was_running:
            # By signal, since its console may not speak TLS before it has read this.
            self._ground.kill(self.PROGRAM, Signals.SIGHUP)
        self._ground.wait(self.PROGRAM, self._answers, "the pool to answer", START_SECONDS)
        self._reload()

    @property
    def is_running(self) -> bool:
        """True while its process is there."""
        return self._ground.pid(self.PROGRAM) is not None

    def reload(self) -> None:
        """Have it read its settings and its certificate anew; clients stay connected.

        For a new certificate PgBouncer gives up its connections to servers. It would tell a client
        that a login it was at has failed; so clients are held meanwhile, for some milliseconds.
        """
        if not self.is_running:
            return
        try:
            with self.hold(Service(self._spec, self._ground), _RELOAD_SECONDS) as hold:
                hold.pause()
                self._reload()
        except NaruError:
            # A long transaction, or a certificate that has expired: better so than not at all.
            self._ground.kill(self.PROGRAM, Signals.SIGHUP)

    def stop(self) -> None:
        """Stop it; its files stay."""
        self._ground.stop(self.PROGRAM)

    def sync_users(self, server: Dsn) -> list[str]:
        """Take over the SCRAM secrets of the roles at `server`; give their names.

        Users known from another server stay. Call it again after passwords changed.
        """
        secrets = read_secrets(server)
        self._write_users(parse_users(self._users_file.read_text()) | secrets)
        if self._answers():
            self._reload()
        return sorted(secrets)

    def sessions(self) -> tuple[OpenSession, ...]:
        """Every client, with the address that it comes from; none while it does not run."""
        if not self.is_running:
            return ()
        try:
            with Console(self.pooler.admin) as console:
                return clients(console, self.PROGRAM)
        except UnreachableError:
            return ()

    def end_sessions(self, sessions: Iterable[OpenSession]) -> None:
        """End those of `sessions` that are clients of the pool. Raises NotPermittedError when
        this account may not reach into the pool's process."""
        ours = {(one.address, one.port) for one in sessions if one.door == self.PROGRAM}
        pid = self._ground.pid(self.PROGRAM)
        if ours and pid is not None:
            hang_up([pid], lambda line: line.here == self.address and line.peer in ours)

    def leading_to(self, *addresses: tuple[str, int]) -> tuple[str, ...]:
        """The databases of the spec that the pool sends to one of `addresses` now."""
        names = sorted({self._spec.source.database, self._spec.service.database})
        facts = [self.pooler.observe(name) for name in names]
        return tuple(one.database for one in facts if (one.host, one.port) in addresses)

    def hold(
        self, service: Service, seconds: float, *, longest_seconds: float = LONGEST_SECONDS
    ) -> Hold:
        """Over what the pool sends to `service`; open transactions have `seconds` to end."""
        return Hold(
            self.pooler,
            self.leading_to(service.address, service.own_address),
            seconds=seconds,
            ready=service.writer("postgres"),
            longest_seconds=longest_seconds,
        )

    def sizing(self, service: Service) -> Sizing:
        """Whether the pools that lead to `service` fit into its server, and how they are used."""
        with Console(self.pooler.admin) as console:
            return judge_sizing(
                observe_sizing(console, service.address, service.writer("postgres"))
            )

    @property
    def _folder(self) -> Path:
        return self._ground.data_folder(self.PROGRAM)

    @property
    def _users_file(self) -> Path:
        return self._folder / "users.txt"

    def _write_files(self, server_mode: str) -> None:
        host, port = self.address
        secrets = self._ground.secrets
        password = secrets.password(ADMIN)
        secrets.remember([self.address], ADMIN, password)
        known = parse_users(self._users_file.read_text()) if self._users_file.exists() else {}
        if ADMIN not in known:
            known[ADMIN] = scram_secret(password)
        self._write_users(known)
        databases = self._folder / "databases.ini"
        if not databases.exists():
            self._write(databases, self._first_entries())
        settings = _SETTINGS.format(
            databases=databases, users=self._users_file, host=host, port=port, admin=ADMIN,
            pair=self._ground.certificates.pair("pool"),
            authority=self._ground.certificates.authority, server_mode=server_mode,
            hba=self._folder / "hba.conf",
            pool_size=self._spec.traffic.pool_size, max_clients=self._spec.traffic.max_clients,
        )  # fmt: skip
        lines = (f"hostssl all all {one.network} scram-sha-256\n" for one in self._ground.allowed())
        self._write(self._folder / "hba.conf", "".join(lines))
        self._write(self._folder / "pgbouncer.ini", settings)

    def _first_entries(self) -> str:
        source, service = self._spec.source, self._spec.service
        places = {
            service.database: (service.host, service.port),
            source.database: (source.host, source.port),
        }
        lines = [
            f"{name} = host={quoted(self._ground.address(host))} port={port}"
            for name, (host, port) in places.items()
        ]
        return "[databases]\n" + "\n".join(lines) + "\n"

    def _write_users(self, users: dict[str, str]) -> None:
        self._write(self._users_file, render_users(users))

    def _write(self, path: Path, text: str) -> None:
        write_atomically(path, text, mode=0o600, owner=self._ground.account)

    def _answers(self) -> bool:
        try:
            Console(self.pooler.admin).close()
        except UnreachableError:
            return False
        return True

    def _reload(self) -> None:
        with Console(self.pooler.admin) as console:
            console.command("RELOAD")


def find_pgbouncer() -> str:
    """Where the program is; distributions put it where an ordinary user's PATH does not look."""
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"))
    found = shutil.which("pgbouncer", path=path)
    if found is None:
        raise MissingToolError(
            "pgbouncer is not installed, and the pool needs it",
            remedy="apt-get install pgbouncer (as root)",
        )
    return found
