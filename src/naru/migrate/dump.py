"""Dump: databases of one server into a folder, each at one snapshot, proven by its manifest."""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import psycopg

from naru import __version__
from naru.errors import DeadlineError, ProcessError, RefusedError, UsageError
from naru.migrate import dump_facts
from naru.migrate.archive import read_facts
from naru.migrate.dump_archive import read_sequence_values, write_archive
from naru.migrate.dump_facts import Obstacle, SourceFacts, judge_source, observe_source, refuse
from naru.migrate.dump_folder import (
    CONTENTS,
    ROLES,
    SECRETS,
    list_files,
    must_be_free,
    place_of,
    seal,
    writing,
)
from naru.migrate.dump_manifest import (
    Content,
    Contents,
    DumpedDatabase,
    DumpedRoles,
    Manifest,
    as_text,
)
from naru.migrate.dump_programs import can_compress, choose_dump_programs
from naru.migrate.globals import observe_database_globals
from naru.migrate.roles import RoleFacts, observe_roles
from naru.migrate.sides import PLAIN, stay
from naru.postgres import (
    Connection,
    Dsn,
    Installation,
    connect,
    explain,
    fetch_value,
    find_installations,
)
from naru.system import SILENT, Observer, private_folder, step, write_atomically
from naru.verify import Digest, take_digest

# pg_dump's limit on waiting is a statement timeout, and its workers do not wait at all.
_WAITED = re.compile(r"(lock|statement) timeout|could not obtain lock")

Rows = Literal["hashes", "counts", "estimates"]


@dataclass(frozen=True)
class DumpOptions:
    """What is dumped, and how."""

    databases: tuple[str, ...] = ()
    """By default the one that the source's address names."""
    all_databases: bool = False
    content: Content = "all"
    rows: Rows = "counts"
    """What the manifest says of rows: read once more and hashed, counted, or estimated."""
    jobs: int = 2
    compress: str | None = None
    passwords: bool = True
    """Put the roles' stored secrets into the dump, in a file of their own."""
    lock_seconds: float = 10.0
    check_room: bool = True
    programs: tuple[Path, ...] = ()


def dump_databases(
    source: Dsn, folder: Path, options: DumpOptions, observer: Observer = SILENT
) -> Manifest:
    """Dump databases of the server behind `source` into `folder`, which is made.

    `folder` appears whole at the end, or not at all. Raises RefusedError with everything
    that stands in the way before anything is done.
    """
    return _Dump(source, folder.absolute(), options, observer).perform()


class _Dump:
    def __init__(self, source: Dsn, folder: Path, options: DumpOptions, observer: Observer) -> None:
        self._source, self._folder, self._options = source, folder, options
        self._observer = observer

    def perform(self) -> Manifest:
        must_be_free(self._folder)
        begun = _now()
        with step(self._observer, "look at the source"):
            facts = [self._observe(name) for name in self._databases()]
            programs, method = choose_dump_programs(
                find_installations(self._options.programs), facts[0].major,
                self._options.compress, can_compress,
            )  # fmt: skip
            self._judge(facts, method)
        with writing(self._folder, self._observer) as partial:
            found = [self._dump(one, partial, programs, method) for one in facts]
            with step(self._observer, "roles"):
                passwords = self._write_roles(partial, [roles for _, roles in found])
            with step(self._observer, "checksums"):
                files = list_files(partial, jobs=self._options.jobs, observer=self._observer)
            manifest = Manifest(
                identity=secrets.token_hex(8), naru=__version__, begun=begun, ended=_now(),
                server=facts[0].version, server_major=facts[0].major,
                program=".".join(map(str, programs.version)), program_major=programs.major,
                compression=method, content=self._options.content, passwords=passwords,
                databases=tuple(one for one, _ in found), files=tuple(files),
            )  # fmt: skip
            seal(partial, self._folder, manifest)
        return manifest

    def _databases(self) -> list[str]:
        chosen = self._options.databases
        if self._options.all_databases:
            if chosen:
                raise UsageError("all databases, or some by name: not both")
            with self._connect(self._source.database) as connection:
                names = dump_facts.read_databases(connection)
            held = [name for name in names if not self._is_spare(name)]
            if not held:
                raise RefusedError(f"{self._source}: no database of this server holds anything")
            return held
        return list(dict.fromkeys(chosen or [self._source.database]))

    def _is_spare(self, name: str) -> bool:
        """True for the maintenance database that every server has, when nothing is in it."""
        if name != "postgres":
            return False
        with self._connect(name) as connection:
            empty = dump_facts.holds_nothing(connection)
        if empty:
            self._observer.note("database postgres holds nothing, and is left out")
        return empty

    def _observe(self, name: str) -> SourceFacts:
        with self._connect(name) as connection, self._naming_lockers(name):
            return observe_source(connection, name)

    def _judge(self, facts: list[SourceFacts], method: str) -> None:
        free = shutil.disk_usage(self._folder.parent).free if self._options.check_room else None
        content = self._options.content
        found: list[Obstacle] = []
        for one in facts:
            found += judge_source(one, content=content, compression=method, free=free)
            # What an earlier one of them takes is not there for the next.
            free = free and free - dump_facts.room_needed(one.table_bytes, method)
            if one.subscriptions:
                self._observer.note(
                    f"database {one.database}: its {one.subscriptions} subscriptions are left"
                    " out: they carry the address and password of another server"
                )
        refuse(f"{self._source} cannot be dumped yet", found)

    def _dump(
        self, facts: SourceFacts, partial: Path, programs: Installation, method: str
    ) -> tuple[DumpedDatabase, RoleFacts]:
        name, place = facts.database, place_of(facts.database)
        dsn = self._source.with_(dbname=name)
        folder = private_folder(partial / place)
        private_folder(folder.parent)
        with self._connect(name) as holder, self._naming_lockers(name):
            position = _position(holder)
            holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            snapshot = str(fetch_value(holder, "SELECT pg_catalog.pg_export_snapshot()"))
            database = self._describe(holder, facts, place, position)
            schema_facts = read_facts(dsn, snapshot)
            with step(self._observer, f"dump {name}"):
                write_archive(
                    dsn, folder, programs, facts, snapshot=snapshot, method=method,
                    content=self._options.content, jobs=self._options.jobs,
                    lock_seconds=self._options.lock_seconds, observer=self._observer,
                )  # fmt: skip
            digest = self._digest(dsn, snapshot)
            roles = observe_roles(holder)
            contents = Contents(
                tables=dump_facts.read_tables(holder),
                sequences=read_sequence_values(programs, folder / "archive"),
                digest=digest,
                facts=schema_facts,
                globals=observe_database_globals(holder),
                roles=tuple(roles.roles),
                settings=tuple(one for one in roles.settings if one.role and one.in_database),
            )
            holder.execute("COMMIT")
        write_atomically(folder / CONTENTS, as_text(contents.to_json()), mode=0o600)
        return database, roles

    def _describe(
        self, holder: Connection, facts: SourceFacts, place: str, position: str
    ) -> DumpedDatabase:
        said = observe_database_globals(holder).facts
        return DumpedDatabase(
            name=facts.database, folder=place, begun=_now(),
            snapshot=str(fetch_value(holder, "SELECT pg_catalog.txid_current_snapshot()::text")),
            position=position, encoding=said.encoding, collate=said.collate, ctype=said.ctype,
            provider=said.provider, locale=said.locale, collation_version=facts.collation_version,
            bytes=facts.bytes, extensions=dump_facts.read_extensions(holder),
        )  # fmt: skip

    def _digest(self, dsn: Dsn, snapshot: str) -> Digest | None:
        rows = self._options.rows
        if rows == "estimates" or self._options.content == "schema":
            return None
        title = "hash" if rows == "hashes" else "count"
        with step(self._observer, f"{title} rows of {dsn.database}"):
            return take_digest(
                dsn, snapshot=snapshot, hashes=rows == "hashes", jobs=self._options.jobs,
                observer=self._observer,
            )  # fmt: skip

    def _write_roles(self, partial: Path, found: list[RoleFacts]) -> bool:
        """The roles of all databases in one file, and if wanted their secrets in another."""
        needed = {name: role for one in found for name, role in one.roles.items()}
        settings = {s: None for one in found for s in one.settings if s.role and not s.in_database}
        roles = DumpedRoles(
            roles=tuple(needed[name] for name in sorted(needed)),
            memberships=tuple(one for one in found[0].memberships if one.member in needed),
            settings=tuple(one for one in settings if one.role in needed),
        )
        write_atomically(partial / ROLES, as_text(roles), mode=0o600)
        if not self._options.passwords:
            return False
        kept = found[0].secrets
        if kept is None:
            self._observer.note("roles' passwords are left out: this login may not read pg_authid")
            return False
        chosen = {name: kept[name] for name in sorted(needed) if name in kept}
        write_atomically(partial / SECRETS, as_text(chosen), mode=0o600)
        return True

    def _connect(self, name: str) -> Connection:
        settings = {
            **PLAIN,
            "lock_timeout": f"{int(self._options.lock_seconds * 1000)}ms",
            "search_path": "",
        }
        connection = connect(self._source.with_(dbname=name), purpose="dump", settings=settings)
        stay(connection)
        return connection

    @contextmanager
    def _naming_lockers(self, name: str) -> Iterator[None]:
        """Turn a wait for a lock that was given up into an error that names who holds it."""
        dsn = self._source.with_(dbname=name)
        try:
            yield
        except (psycopg.Error, ProcessError, DeadlineError) as error:
            said = explain(error, dsn, "reading") if isinstance(error, psycopg.Error) else error
            if not _WAITED.search(said.message):
                raise said from error
            with self._connect(name) as connection:
                held = dump_facts.lockers(connection)
            raise DeadlineError(
                f"{dsn}: a table is locked: {held or 'nobody holds it any more'}",
                remedy="wait until that transaction has ended, or end it; or --lock-wait SECONDS",
            ) from error


def _position(connection: Connection) -> str:
    query = (
        "SELECT (CASE WHEN pg_catalog.pg_is_in_recovery() THEN"
        " pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_lsn() END)::text"
    )
    return str(fetch_value(connection, query))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
