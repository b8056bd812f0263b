"""The schema's archive: made by pg_dump at the copy's snapshot, with facts that it lacks.

An archive is a folder that outlives the process: `schema.dump` (pg_dump's custom format),
`facts.json` (what statements need to know beyond their text), written last, so that a folder
with facts is whole.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from psycopg import sql
from psycopg.conninfo import make_conninfo

from naru.errors import MissingToolError, ProcessError
from naru.migrate.names import OWN_SCHEMA
from naru.postgres import (
    KEEPALIVES,
    Connection,
    Dsn,
    Installation,
    connect,
    fetch_all,
    fetch_value,
)
from naru.system import private_folder, run, write_atomically

DUMP_SECONDS = 3600.0
_SESSION = {"search_path": "", "statement_timeout": "0", "lock_timeout": "10s"}

# Rows alone, and asked for once: to count the maps of a table would be eight more looks at files.
_SIZES = """
SELECT c.oid::int8, pg_catalog.pg_relation_size(c.oid)
       + coalesce(pg_catalog.pg_relation_size(nullif(c.reltoastrelid, 0)), 0)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
"""

_KEYS = """
SELECT c.oid::int8, n.nspname, t.relname,
       CASE WHEN f.relkind = 'p' THEN 'p' ELSE t.relkind::text END, c.contype::text, c.conname,
       c.convalidated, c.condeferrable, c.condeferred, t.oid::int8,
       CASE WHEN c.contype IN ('p', 'u') AND t.relkind = 'r' AND am.amname = 'btree'
             AND t.oid = ANY (%s::oid[])
            THEN pg_catalog.pg_get_indexdef(c.conindid) END
FROM pg_catalog.pg_constraint c
JOIN pg_catalog.pg_class t ON t.oid = c.conrelid
JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
LEFT JOIN pg_catalog.pg_class f ON f.oid = c.confrelid
LEFT JOIN pg_catalog.pg_class i ON i.oid = c.conindid
LEFT JOIN pg_catalog.pg_am am ON am.oid = i.relam
WHERE c.contype IN ('p', 'u', 'x', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
"""

_INDEXES = """
SELECT x.indexrelid::int8, n.nspname, t.relname, t.oid::int8
FROM pg_catalog.pg_index x
JOIN pg_catalog.pg_class t ON t.oid = x.indrelid
JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
"""

_MATVIEWS = """
WITH RECURSIVE edge AS (
    SELECT DISTINCT r.ev_class AS view, d.refobjid AS base
    FROM pg_catalog.pg_rewrite r
    JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
     AND d.objid = r.oid AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
     AND d.refobjid <> r.ev_class
    JOIN pg_catalog.pg_class b ON b.oid = d.refobjid AND b.relkind IN ('v', 'm')
), level AS (
    SELECT oid, 0 AS depth FROM pg_catalog.pg_class WHERE relkind IN ('v', 'm')
    UNION
    SELECT e.view, l.depth + 1 FROM level l JOIN edge e ON e.base = l.oid WHERE l.depth < 200
)
SELECT n.nspname, c.relname
FROM (SELECT oid, max(depth) AS depth FROM level GROUP BY oid) deep
JOIN pg_catalog.pg_class c USING (oid)
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'm' AND c.relispopulated
ORDER BY deep.depth, 1, 2
"""

_ANALYZED = """
SELECT n.nspname, c.relname, c.oid::int8
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE (c.relkind IN ('r', 'p') OR (c.relkind = 'm' AND c.relispopulated))
  AND NOT c.relispartition AND c.relpersistence <> 't'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema')
"""

LARGE_TABLE_BYTES = 32 * 1024 * 1024
"""From this size on, indexes of one table are built side by side; below, one after the other."""


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """A primary key, unique, exclusion or foreign key constraint of the source."""

    schema: str
    table: str
    relkind: str
    """`p` if the table, or the one that a foreign key refers to, is partitioned."""
    contype: str
    name: str
    validated: bool
    deferrable: bool
    deferred: bool
    table_bytes: int
    index_sql: str | None
    """CREATE INDEX, where building the index apart from its constraint is worth while."""


@dataclass(frozen=True, slots=True)
class IndexFacts:
    """Which table an index is on."""

    schema: str
    table: str
    table_bytes: int


@dataclass(frozen=True)
class SchemaDump:
    """A whole archive, and the programs that read it."""

    identity: str
    file: Path
    """What pg_dump has made: a file, or a folder."""
    folder: Path
    """Where texts made from it may lie for a while."""
    programs: Installation
    keys: dict[int, KeyFacts] = field(repr=False)
    indexes: dict[int, IndexFacts] = field(repr=False)
    matviews: tuple[tuple[str, str], ...] = field(repr=False)
    """Populated ones, each after those that it reads."""
    analyzed: tuple[tuple[str, str], ...] = field(repr=False)
    options: tuple[str, ...] = ()
    """More options for pg_restore, such as `--no-owner`."""


def choose_programs(
    installations: list[Installation], source_major: int, target_major: int
) -> Installation:
    """The pg_dump and pg_restore to use: of the target's version, else the next newer one.

    pg_dump refuses servers newer than itself, and writes for servers of its own version.
    Raises MissingToolError when every installation is older than the source.
    """
    fit = [one for one in installations if one.major >= source_major]
    if not fit:
        have = ", ".join(str(one.major) for one in installations) or "none"
        raise MissingToolError(
            f"pg_dump {source_major} or newer is needed for the source; installed: {have}",
            remedy=f"install PostgreSQL {max(source_major, target_major)}'s client programs",
        )
    newer = [one for one in fit if one.major >= target_major]
    if newer:
        least = min(one.major for one in newer)
        return max(one for one in newer if one.major == least)
    return max(fit)


def dump_schema(
    source: Dsn,
    folder: Path,
    programs: Installation,
    *,
    snapshot: str | None = None,
    lock_seconds: float = 10.0,
    facts: Callable[[], dict[str, Any]] | None = None,
) -> SchemaDump:
    """Dump the schema (no rows, no large objects, no publications) as of `snapshot`.

    Shared locks on all tables are held while it runs; waiting for one longer than
    `lock_seconds` fails. `facts` gives what `facts_of` does, of the same snapshot, where
    somebody reads them anyway. Raises ProcessError with pg_dump's words.
    """
    private_folder(folder)
    (folder / "facts.json").unlink(missing_ok=True)
    argv: list[str | Path] = [
        programs.tool("pg_dump"), "--format=custom", "--schema-only", "--no-publications",
        "--no-subscriptions", "--no-tablespaces", f"--exclude-schema={OWN_SCHEMA}",
        f"--lock-wait-timeout={int(lock_seconds * 1000)}", "--no-password",
        f"--file={folder / 'schema.dump'}", f"--dbname={make_conninfo('', **KEEPALIVES)}",
    ]  # fmt: skip
    if snapshot:
        argv.append(f"--snapshot={snapshot}")
    try:
        run(argv, seconds=DUMP_SECONDS, env=_environment(source))
    except ProcessError as error:
        raise ProcessError(
            f"{source}: the schema could not be dumped: {error.message}",
            remedy="see what holds the lock, or grant SELECT on what pg_dump names, and run again",
        ) from error
    (folder / "schema.dump").chmod(0o600)
    found = facts() if facts else read_facts(source, snapshot)
    document = {**found, "identity": secrets.token_hex(8)}
    write_atomically(folder / "facts.json", json.dumps(document), mode=0o600)
    return with_facts(document["identity"], folder / "schema.dump", folder, programs, document)


def is_whole(folder: Path) -> bool:
    """True if `folder` holds an archive that was completed."""
    return (folder / "facts.json").exists() and (folder / "schema.dump").exists()


def open_dump(folder: Path, programs: Installation) -> SchemaDump:
    """The archive in `folder`, made earlier, maybe by another process."""
    facts = json.loads((folder / "facts.json").read_text())
    return with_facts(facts["identity"], folder / "schema.dump", folder, programs, facts)


def with_facts(
    identity: str,
    file: Path,
    folder: Path,
    programs: Installation,
    facts: dict[str, Any],
    options: tuple[str, ...] = (),
) -> SchemaDump:
    """An archive with the facts that `read_facts` gave when it was made."""
    return SchemaDump(
        identity=identity,
        file=file,
        folder=folder,
        programs=programs,
        options=options,
        keys={row[0]: KeyFacts(*row[1:]) for row in facts["keys"]},
        indexes={row[0]: IndexFacts(*row[1:]) for row in facts["indexes"]},
        matviews=tuple((row[0], row[1]) for row in facts["matviews"]),
        analyzed=tuple((row[0], row[1]) for row in facts["analyzed"]),
    )


def restore_text(dump: SchemaDump, section: str) -> Path:
    """Write one section (`pre-data`, `post-data`) as SQL, each entry with its whole header."""
    path = dump.folder / f"{section}.sql"
    run(
        [
            dump.programs.tool("pg_restore"), f"--section={section}", "--verbose",
            "--no-tablespaces", *dump.options, f"--file={path}", dump.file,
        ],
        seconds=DUMP_SECONDS,
    )  # fmt: skip
    path.chmod(0o600)
    return path


def _environment(dsn: Dsn) -> dict[str, str]:
    return {**dsn.environment(), "PGAPPNAME": "naru: schema", "PGCLIENTENCODING": "UTF8"}


def read_facts(source: Dsn, snapshot: str | None) -> dict[str, Any]:
    """As `facts_of`, in a session of its own that sees `snapshot`."""
    with connect(source, purpose="schema facts", settings=_SESSION) as connection:
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        if snapshot:
            connection.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(snapshot)))
        facts = facts_of(connection)
        connection.execute("COMMIT")
        return facts


def facts_of(connection: Connection) -> dict[str, Any]:
    """What statements need to know beyond their text, as JSON can hold it."""
    sizes = {oid: size or 0 for oid, size in fetch_all(connection, _SIZES)}
    large = [oid for oid, size in sizes.items() if size > LARGE_TABLE_BYTES]
    keys = fetch_all(connection, _KEYS, [large])
    indexes = fetch_all(connection, _INDEXES)
    analyzed = fetch_all(connection, _ANALYZED)
    analyzed.sort(key=lambda row: (-sizes.get(row[2], 0), row[0], row[1]))
    return {
        "keys": [(*row[:9], sizes.get(row[9], 0), row[10]) for row in keys],
        "indexes": [(*row[:3], sizes.get(row[3], 0)) for row in indexes],
        "matviews": fetch_all(connection, _MATVIEWS),
        "analyzed": [row[:2] for row in analyzed],
    }


def server_major(dsn: Dsn) -> int:
    """The major version of the server behind `dsn`."""
    with connect(dsn, purpose="version") as connection:
        number = fetch_value(connection, "SELECT current_setting('server_version_num')::int")
        return int(number) // 10000
