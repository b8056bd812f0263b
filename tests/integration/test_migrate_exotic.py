"""A database with every kind of object, and rows that are hard to carry, crosses whole."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from psycopg import sql

from naru.journal import Journal
from naru.migrate import (
    DumpOptions,
    Restore,
    RestoreOptions,
    assess,
    dump_databases,
    finish,
)
from naru.postgres import Dsn, LocalServer, connect, fetch_all, find_installations
from naru.system import run
from naru.verify import compare
from tests.exotic import ROLES, drop_exotic, fill_exotic
from tests.migration import Case, case, drop_database, found

pytestmark = pytest.mark.integration

DATABASE = "naru_exotic"
WIDE = 2_300_000
"""Makes one value of 50 MB."""

WHAT_DOES_NOT_ARRIVE = {
    ("source.publication", "users_own"),
    ("schema.invalid-index", "exotic.invalid_index"),
    ("schema.unlogged", "exotic.fleeting"),
    ("schema.trigger-always", "exotic.indexed: on_both"),
    ("schema.trigger-always", "exotic.indexed: on_replicas"),
    ("schema.foreign-table", "exotic.far_away"),
}


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory, old_server: LocalServer, new_server: LocalServer
) -> Iterator[Case]:
    folder = tmp_path_factory.mktemp("exotic")
    drop_exotic(DATABASE, old_server, new_server)
    try:
        fill = partial(fill_exotic, wide=WIDE)
        with case(folder, old_server, new_server, DATABASE, fill=fill) as it:
            yield it
    finally:
        drop_exotic(DATABASE, old_server, new_server)


def test_every_kind_of_object_and_value_arrives(made: Case) -> None:
    findings = assess(made.source, made.target).findings
    assert [str(one) for one in findings if one.severity == "blocking"] == []
    told = {(one.code, one.object) for one in findings}
    assert told >= WHAT_DOES_NOT_ARRIVE
    roles = _roles(made.source)
    schema, rows = _schema(made.source), _rows(made.source)
    made.start()
    with made.record() as record:
        assert [one.text for one in record.run.events("schema.problem")] == []
        verdict = made.switcher(record).cross().verdict
        assert verdict is not None
        assert verdict.same, found(verdict)
        finish(record)
    assert _difference(schema, _schema(made.target)) == []
    assert _rows(made.target) == rows
    assert len(rows) > 50
    assert _roles(made.target) == roles
    assert _difference(schema, _schema(made.source)) == []


def test_every_kind_of_object_and_value_arrives_by_dump(made: Case, tmp_path: Path) -> None:
    """With its publications, and without asking the source at the end."""
    folder, target = tmp_path / "dump", made.new.dsn(f"{DATABASE}_dump")
    drop_database(made.new, target.database)
    dump_databases(made.source, folder, DumpOptions(rows="hashes", compress="none"))
    try:
        with Journal.in_folder(tmp_path) as journal:
            options = RestoreOptions(create=True)
            (one,) = Restore(folder, target, options).perform(journal)
        assert one.proven, one.to_json()
        assert one.rows is not None
        assert one.rows.hashed == one.rows.tables
        verdict = compare(made.source, target)
        assert verdict.same, found(verdict)
        assert _rows(target) == _rows(made.source)
        names = (re.sub(r"naru_exotic(_dump)?", "naru_exotic", line) for line in _schema(target))
        assert _difference(_schema(made.source), list(names)) == []
    finally:
        drop_database(made.new, target.database)


def _difference(before: list[str], after: list[str]) -> list[str]:
    return list(difflib.unified_diff(before, after, n=1, lineterm=""))[:60]


def _schema(dsn: Dsn) -> list[str]:
    """What the newest pg_dump writes of all but rows, by a line, as any version prints it."""
    tools = find_installations()[-1]
    argv: list[str | Path] = [
        tools.tool("pg_dump"), "--create", "--section=pre-data", "--section=post-data",
        "--no-publications",
    ]  # fmt: skip
    text = run(argv, seconds=120, env=dsn.environment()).stdout
    argv = [tools.tool("pg_dump"), "--section=data", "--large-objects", "--exclude-table=*.*"]
    text += run(argv, seconds=120, env=dsn.environment()).stdout
    # Newer servers print a view's columns without the table where that is clear.
    schemas = "exotic|extensions|pg_catalog|public"
    text = re.sub(rf"(?<=[ (])(?!{schemas})[a-z_]+\.(?=[a-z_])", "", text)
    passing = re.compile(r"^(-- Dumped|\\(un)?restrict )")
    return [line for line in text.splitlines() if not passing.match(line)]


def _rows(dsn: Dsn) -> dict[str, str]:
    """A hash of every relation's rows as text, sorted; sequences and large objects too."""
    with connect(dsn, purpose="test", settings={"datestyle": "ISO", "timezone": "UTC"}) as here:
        names = fetch_all(here, _WITH_ROWS)
        hashes = {}
        for schema, name, columns in names:
            text = sql.SQL("COPY (SELECT {} FROM ONLY {}) TO STDOUT").format(
                sql.SQL(columns), sql.Identifier(schema, name)
            )
            with here.cursor().copy(text) as copy:
                lines = sorted(hashlib.sha256(bytes(row)).digest() for row in copy)
            hashes[f"{schema}.{name}"] = hashlib.sha256(b"".join(lines)).hexdigest()
        return hashes


_WITH_ROWS = """
SELECT n.nspname, c.relname, CASE WHEN c.relkind = 'S' THEN 'last_value, is_called' ELSE coalesce((
    SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
    WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped), '') END
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE (c.relkind IN ('r', 'S') OR c.relkind = 'm' AND c.relispopulated)
  AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'naru_migration')
ORDER BY 1, 2
"""


def _roles(dsn: Dsn) -> dict[str, list[tuple[object, ...]]]:
    """Roles with attributes, secrets, memberships and settings, and the database's own."""
    with connect(dsn, purpose="test") as here:
        return {name: fetch_all(here, query, [list(ROLES)]) for name, query in _OF_ROLES.items()}


_OF_ROLES = {
    "attributes": "SELECT rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin,"
    " rolreplication, rolbypassrls, rolconnlimit, rolpassword, rolvaliduntil"
    " FROM pg_authid WHERE rolname = ANY (%s) ORDER BY 1",
    "memberships": "SELECT roleid::regrole::text, member::regrole::text, admin_option"
    " FROM pg_auth_members WHERE member::regrole::text = ANY (%s) ORDER BY 1, 2",
    "settings": "SELECT setrole::regrole::text, setdatabase <> 0, setconfig FROM pg_db_role_setting"
    " WHERE setrole::regrole::text = ANY (%s) OR setdatabase ="
    " (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY 1, 2",
    "large objects": "SELECT oid, pg_get_userbyid(lomowner), lomacl::text,"
    " obj_description(oid, 'pg_largeobject'), md5(lo_get(oid))"
    " FROM pg_largeobject_metadata WHERE %s::text[] IS NOT NULL ORDER BY 1",
}


def test_what_cannot_arrive_is_told_before_anything_starts(made: Case) -> None:
    with connect(made.source, purpose="test") as source:
        source.execute(
            "CREATE TABLE exotic.by_enum (kind exotic.mood) PARTITION BY HASH (kind);"
            "CREATE COLLATION exotic.swedish (provider = icu, locale = 'sv')"
        )
        with connect(made.target.with_(dbname="postgres"), purpose="test") as target:
            known = fetch_all(target, "SELECT FROM pg_collation WHERE collname = 'und-x-icu'")
        try:
            told = {(one.code, one.object) for one in assess(made.source, made.target).findings}
        finally:
            source.execute("DROP TABLE exotic.by_enum; DROP COLLATION exotic.swedish")
    assert ("schema.enum-hash", "exotic.by_enum") in told
    refused = {name for code, name in told if code == "target.collation-missing"}
    assert any(name.startswith("exotic.swedish (") for name in refused) == (not known)
