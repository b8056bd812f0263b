"""One database into its place in a dump: everything that is said of it, from one snapshot."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from naru.migrate import dump_facts
from naru.migrate.archive import read_facts
from naru.migrate.dump_archive import read_sequence_values, write_archive
from naru.migrate.dump_facts import SourceFacts
from naru.migrate.dump_folder import CONTENTS, place_of
from naru.migrate.dump_manifest import Content, Contents, DumpedDatabase, as_text
from naru.migrate.dump_session import Server
from naru.migrate.globals import observe_database_globals
from naru.migrate.roles import RoleFacts, observe_roles
from naru.postgres import Connection, Dsn, Installation, fetch_value
from naru.system import SILENT, Observer, private_folder, step, write_atomically
from naru.verify import Digest, take_digest

Rows = Literal["hashes", "counts", "estimates"]
"""What a dump says of rows: read once more and hashed, counted, or estimated."""

_POSITION = """
SELECT (CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
             ELSE pg_catalog.pg_current_wal_lsn() END)::text
"""


@dataclass(frozen=True)
class How:
    """What of a database is dumped, by which program, how compressed."""

    programs: Installation
    method: str
    content: Content
    rows: Rows
    jobs: int


def dump_one(
    server: Server, facts: SourceFacts, partial: Path, how: How, observer: Observer = SILENT
) -> tuple[DumpedDatabase, RoleFacts]:
    """Dump a database into its place below `partial`; give what it was, and its roles."""
    place = place_of(facts.database)
    folder = private_folder(partial / place)
    private_folder(folder.parent)
    with server.session(facts.database) as holder:
        position = str(fetch_value(holder, _POSITION))
        holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        snapshot = str(fetch_value(holder, "SELECT pg_catalog.pg_export_snapshot()"))
        database = _describe(holder, facts, place, position)
        contents, roles = _fill(server, holder, facts, folder, snapshot, how, observer)
        holder.execute("COMMIT")
    write_atomically(folder / CONTENTS, as_text(contents.to_json()), mode=0o600)
    return database, roles


def _fill(
    server: Server,
    holder: Connection,
    facts: SourceFacts,
    folder: Path,
    snapshot: str,
    how: How,
    observer: Observer,
) -> tuple[Contents, RoleFacts]:
    """The archive and all that goes with it, while `holder` keeps the snapshot."""
    dsn = server.dsn(facts.database)
    schema_facts = read_facts(dsn, snapshot)
    with step(observer, f"dump {facts.database}"):
        write_archive(
            dsn, folder, how.programs, facts, snapshot=snapshot, method=how.method,
            content=how.content, jobs=how.jobs, lock_seconds=server.lock_seconds,
            observer=observer,
        )  # fmt: skip
    roles = observe_roles(holder)
    contents = Contents(
        tables=dump_facts.read_tables(holder),
        sequences=read_sequence_values(how.programs, folder / "archive"),
        digest=_digest(dsn, snapshot, how, observer),
        facts=schema_facts,
        globals=observe_database_globals(holder),
        roles=tuple(roles.roles),
        settings=tuple(one for one in roles.settings if one.role and one.in_database),
    )
    return contents, roles


def _describe(holder: Connection, facts: SourceFacts, place: str, position: str) -> DumpedDatabase:
    said = observe_database_globals(holder).facts
    return DumpedDatabase(
        name=facts.database, folder=place, begun=now(),
        snapshot=str(fetch_value(holder, "SELECT pg_catalog.txid_current_snapshot()::text")),
        position=position, encoding=said.encoding, collate=said.collate, ctype=said.ctype,
        provider=said.provider, locale=said.locale, collation_version=facts.collation_version,
        bytes=facts.bytes, extensions=dump_facts.read_extensions(holder),
    )  # fmt: skip


def _digest(dsn: Dsn, snapshot: str, how: How, observer: Observer) -> Digest | None:
    if how.rows == "estimates" or how.content == "schema":
        return None
    hashes = how.rows == "hashes"
    with step(observer, f"{'hash' if hashes else 'count'} rows of {dsn.database}"):
        return take_digest(dsn, snapshot=snapshot, hashes=hashes, jobs=how.jobs, observer=observer)


def now() -> str:
    """This moment, ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")
