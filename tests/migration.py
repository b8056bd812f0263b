"""A migration between two databases that a test makes: content, pooler, journal, processes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from psycopg import sql

from naru.drill import Workload, WorkloadSettings, prepare
from naru.errors import DeadlineError, NaruError
from naru.ground import state_folder
from naru.journal import Journal, Run
from naru.migrate import (
    Bounds,
    Limits,
    PooledDatabase,
    Record,
    SeenAt,
    Start,
    Switcher,
    abort,
    begin_or_resume,
)
from naru.postgres import Dsn, LocalServer, connect, fetch_all, scram_secret
from naru.system import run, wait_until
from naru.verify import Verdict
from tests.commands import run_naru
from tests.lab import PASSWORDS, SCALE, make_lab
from tests.poolers import ADMIN, ADMIN_PASSWORD, TestPooler


@dataclass
class Case:
    """One migration: two databases of one name, a folder of state, perhaps a pooler."""

    folder: Path
    old: LocalServer
    new: LocalServer
    database: str
    programs: tuple[Path, ...] = field(default=(), kw_only=True)
    """More folders with PostgreSQL programs to choose pg_dump from."""

    @property
    def state(self) -> Path:
        """Where commands run in this case's folder keep their state."""
        return state_folder(self.folder / "naru.toml")

    @property
    def source(self) -> Dsn:
        return self.old.dsn(self.database)

    @property
    def target(self) -> Dsn:
        return self.new.dsn(self.database)

    @contextlib.contextmanager
    def record(self) -> Iterator[Record]:
        """The migration in its journal; begun if it was not."""
        with Journal.in_folder(self.state) as journal:
            yield begin_or_resume(journal, self.database, self.source, self.target, SeenAt())

    @contextlib.contextmanager
    def ended_run(self) -> Iterator[Run]:
        """The newest run of the migration, open or ended."""
        with Journal.in_folder(self.state) as journal:
            found = journal.latest("migrate", self.database)
            assert found is not None
            yield found

    def start(self) -> None:
        with self.record() as record:
            Start(record, Bounds(programs=self.programs)).perform()

    def pooled(self, pooler: TestPooler) -> tuple[PooledDatabase, ...]:
        return (PooledDatabase(pooler.control, self.database),)

    def switcher(
        self, record: Record, pooler: TestPooler | None = None, *, seconds: float = 20.0
    ) -> Switcher:
        """A patient switch: test machines are slow, and only some tests are about time."""
        poolers = self.pooled(pooler) if pooler else ()
        return Switcher(record, poolers, Limits(pause_seconds=seconds))

    def command(
        self, *words: str, where: str = "", part_bytes: int | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run `naru` as a process of its own in this case's folder, to be killed at `where`.

        With `part_bytes` the copy's parts are as small as that, instead of 128 MB.
        """
        return run_naru(
            words, cwd=self.folder, env=self.secrets(), where=where, part_bytes=part_bytes
        )

    def uris(self) -> list[str]:
        """Both databases as options; their passwords are in a passfile."""
        return [
            "--source", f"postgresql://postgres@127.0.0.1:{self.old.port}/{self.database}",
            "--target", f"postgresql://postgres@127.0.0.1:{self.new.port}/{self.database}",
        ]  # fmt: skip

    def secrets(self) -> dict[str, str]:
        """The environment that makes our passfile found."""
        path = self.folder / "passfile"
        lines = [
            f"127.0.0.1:{server.port}:*:postgres:{server.password}\n"
            for server in (self.old, self.new)
        ]
        lines.append(f"127.0.0.1:*:pgbouncer:{ADMIN}:{ADMIN_PASSWORD}\n")
        path.write_text("".join(lines))
        path.chmod(0o600)
        return {"PGPASSFILE": str(path)}

    def remove(self) -> None:
        """Leave nothing on either server, whatever state the test has left."""
        with Journal.in_folder(self.state) as journal:
            if journal.latest("migrate", self.database, open_only=True):
                with contextlib.suppress(NaruError), self.record() as record:
                    record.run.remember("at", "source")
                    abort(record)
        for server in (self.old, self.new):
            drop_database(server, self.database)
        shutil.rmtree(self.state, ignore_errors=True)


def drop_database(server: LocalServer, database: str) -> None:
    """Drop a database with all that could hold it: subscriptions, slots, sessions."""
    with connect(server.dsn(), purpose="test") as connection:
        connection.execute(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots"
            " WHERE database = %s AND NOT active",
            [database],
        )
        if not connection.execute(
            "SELECT 1 FROM pg_database WHERE datname = %s", [database]
        ).fetchone():
            return
        with connect(server.dsn(database), purpose="test") as inside:
            names = fetch_all(
                inside,
                "SELECT subname FROM pg_subscription WHERE subdbid ="
                " (SELECT oid FROM pg_database WHERE datname = current_database())",
            )
            for (name,) in names:
                ident = sql.Identifier(name)
                inside.execute(sql.SQL("ALTER SUBSCRIPTION {} DISABLE").format(ident))
                inside.execute(
                    sql.SQL("ALTER SUBSCRIPTION {} SET (slot_name = NONE)").format(ident)
                )
                inside.execute(sql.SQL("DROP SUBSCRIPTION {}").format(ident))
        connection.execute(
            sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(database))
        )
        connection.execute(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots"
            " WHERE database = %s AND NOT active",
            [database],
        )


@contextlib.contextmanager
def case(
    folder: Path,
    old: LocalServer,
    new: LocalServer,
    database: str,
    *,
    scale: float = SCALE,
    fill: Callable[[Dsn], None] | None = None,
    programs: tuple[Path, ...] = (),
) -> Iterator[Case]:
    """A filled source database and, for the start to make, none at the target.

    `fill` is given an empty database to fill; without it the lab's content is made.
    """
    made = Case(folder, old, new, database, programs=programs)
    shutil.rmtree(made.state, ignore_errors=True)
    for server in (old, new):
        drop_database(server, database)
    if fill is None:
        make_lab(old, database, scale=scale)
    else:
        with connect(old.dsn(), purpose="test") as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
        fill(made.source)
    try:
        yield made
    finally:
        made.remove()


@contextlib.contextmanager
def pooler_of(made: Case, folder: Path) -> Iterator[TestPooler]:
    """A PgBouncer in front of the source, for app_user, by a secret both servers share."""
    secret = scram_secret(PASSWORDS["app_user"])
    alter = sql.SQL("ALTER ROLE app_user PASSWORD {}").format(sql.Literal(secret))
    for server in (made.old, made.new):
        # At the target the role is there already when an earlier test has brought it.
        with connect(server.dsn(), purpose="test") as connection:
            if fetch_all(connection, "SELECT FROM pg_roles WHERE rolname = 'app_user'"):
                connection.execute(alter)
    if folder.exists():
        raise AssertionError(f"{folder} is in use")
    pooler = TestPooler(
        folder,
        entries=f"{made.database} = host=127.0.0.1 port={made.old.port} pool_size=10",
        users=f'"app_user" "{secret}"\n',
    )
    with pooler:
        yield pooler


@contextlib.contextmanager
def clients_of(
    made: Case, pooler: TestPooler, folder: Path, *, rate: float = 100
) -> Iterator[Workload]:
    """Four clients writing the ledger through the pooler, from here to the end."""
    prepare(made.source, "app_user")
    dsn = pooler.dsn(made.database, "app_user", PASSWORDS["app_user"])
    settings = WorkloadSettings(dsn=dsn, run=folder.name, clients=4, rate=rate, seconds=900)
    workload = Workload.start(folder, settings)
    try:
        yield workload
    finally:
        workload.stop()


def wait_for_writes(workload: Workload, more: int = 50) -> None:
    """Until clients have got `more` commits acknowledged; says how they fare if they do not."""
    before = workload.status.acknowledged
    try:
        wait_until(lambda: workload.status.acknowledged > before + more, "clients to write", 60)
    except DeadlineError as error:
        raise AssertionError(f"{error}; alive: {workload.pid}, {workload.status}") from error


def catalogs(server: LocalServer, database: str) -> dict[str, str]:
    """Everything that a migration could have left in a database and its server, by kind.

    The schema as pg_dump writes it (replica identities, publications and subscriptions
    among it), and what pg_dump does not show.
    """
    dsn = server.dsn(database)
    dump = run(
        [server.installation.tool("pg_dump"), "--schema-only", "--create"],
        seconds=60,
        env=dsn.environment(),
    ).stdout
    lines = [line for line in dump.splitlines() if "restrict" not in line]
    with connect(dsn, purpose="catalogs") as connection:
        found = {name: str(fetch_all(connection, query)) for name, query in _CATALOGS.items()}
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    return {"dump": digest, **found}


_CATALOGS = {
    "slots": "SELECT slot_name FROM pg_replication_slots ORDER BY 1",
    "publications": "SELECT * FROM pg_publication ORDER BY 1",
    "subscriptions": "SELECT subname FROM pg_subscription ORDER BY 1",
    "origins": "SELECT roname FROM pg_replication_origin ORDER BY 1",
    "settings": "SELECT * FROM pg_db_role_setting ORDER BY 1, 2",
    "databases": "SELECT datname, datconnlimit, datallowconn, datacl::text, datdba"
    " FROM pg_database ORDER BY 1",
    "identities": "SELECT oid::regclass::text, relreplident FROM pg_class"
    " WHERE relkind IN ('r', 'p') AND relnamespace > 16384 OR relreplident IN ('f', 'i')"
    " ORDER BY 1",
    "replica indexes": "SELECT indexrelid::regclass::text FROM pg_index"
    " WHERE indisreplident ORDER BY 1",
    "schemas": "SELECT nspname, nspacl::text FROM pg_namespace"
    " WHERE nspname !~ '^pg_(toast_)?temp_' ORDER BY 1",
    "roles": "SELECT rolname, rolsuper, rolcanlogin, rolconnlimit FROM pg_roles ORDER BY 1",
}


def options_of(pooler: TestPooler) -> Sequence[str]:
    """The pooler as command line options; its password is in the environment's passfile."""
    return ["--pooler", f"postgresql://{pooler.admin.user}@127.0.0.1:{pooler.port}/pgbouncer",
            "--pooler-config", str(pooler.ini)]  # fmt: skip


def found(verdict: Verdict) -> str:
    """What a comparison has found, for a failing test to show."""
    document = verdict.to_json()
    document["tables"] = [one for one in document["tables"] if not one["same"]]
    return json.dumps(document, indent=1, default=str, ensure_ascii=False)[:6000]
