"""A database with everything in it crosses between versions, comes back, and crosses again."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from psycopg import sql

from naru.drill import judge
from naru.migrate import assess, catch_up, finish
from naru.migrate.globals import transfer_globals
from naru.migrate.versions import SOURCES, TARGETS
from naru.postgres import Dsn, LocalServer, connect, fetch_all
from naru.verify import Options, compare
from tests import servers
from tests.exotic import drop_exotic, fill_exotic
from tests.integration.test_verify_mutations import (
    MUTATIONS,
    SCHEMA,
    Mutation,
    Twins,
    make_twins,
    restore_copy,
)
from tests.lab import PASSWORDS
from tests.migration import (
    Case,
    case,
    clients_of,
    drop_database,
    found,
    pooler_of,
    wait_for_writes,
)

pytestmark = pytest.mark.integration

DATABASE = "naru_versions"
PAIRS = [(old, new) for old in SOURCES for new in TARGETS if new >= old]

ServerOf = Callable[[str, int], LocalServer]


@pytest.fixture(scope="module")
def server_of(server_folder: Path) -> Iterator[ServerOf]:
    """The server of a version for a side: source and target are never the same."""
    with contextlib.ExitStack() as stack:
        running: dict[str, LocalServer] = {}

        def get(side: str, major: int) -> LocalServer:
            name = f"{side}-{major}"
            if name not in running:
                server = servers.make_server(server_folder, name, servers.installation_of(major))
                running[name] = stack.enter_context(server)
            return running[name]

        yield get


@contextlib.contextmanager
def made(folder: Path, old: LocalServer, new: LocalServer) -> Iterator[Case]:
    programs = servers.client_folders()
    drop_exotic(DATABASE, old, new)
    with case(folder, old, new, DATABASE, fill=_fill, programs=programs) as it:
        yield it
    drop_exotic(DATABASE, old, new)


def _fill(source: Dsn) -> None:
    fill_exotic(source)
    with connect(source, purpose="test") as connection:
        if not fetch_all(connection, "SELECT FROM pg_roles WHERE rolname = 'app_user'"):
            word = sql.Literal(PASSWORDS["app_user"])
            connection.execute(sql.SQL("CREATE ROLE app_user LOGIN PASSWORD {}").format(word))
        # Nothing keeps a row of it from being there twice.
        connection.execute("CREATE TABLE phases (phase text)")


@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_a_database_crosses_and_comes_back_and_crosses_again(
    old: int, new: int, server_of: ServerOf, server_folder: Path, tmp_path: Path
) -> None:
    pair = f"{old}-{new}"
    with (
        made(tmp_path, server_of("source", old), server_of("target", new)) as it,
        pooler_of(it, server_folder / f"pool-{pair}") as pooler,
        clients_of(it, pooler, tmp_path / "work", rate=60) as workload,
    ):
        it.start()
        with it.record() as record:
            assert [one.text for one in record.run.events("schema.problem")] == []
            _write(it.source, "before")
            live = Options(live=True, slot=record.channels[0].name, sequences=False)
            verdict = compare(it.source, it.target, options=live)
            assert verdict.same, found(verdict)
            for at, dsn in (("target", it.target), ("source", it.source), ("target", it.target)):
                switcher = it.switcher(record, pooler)
                assert [gate.text for gate in switcher.gates()] == []
                crossing = switcher.cross()
                assert crossing.at == at
                assert crossing.verdict is not None
                assert crossing.verdict.same, found(crossing.verdict)
                _write(dsn, f"{crossing.number} at the {at}")
                wait_for_writes(workload, 20)
            catch_up(record)
            assert _phases(it.source) == _phases(it.target) == [
                "1 at the target", "2 at the source", "3 at the target", "before",
            ]  # fmt: skip
            finish(record)
        workload.stop()
        ledger = judge(it.target, tmp_path / "work", "work")
    assert ledger.acknowledged > 80
    assert (ledger.lost, ledger.duplicated, ledger.phantom, ledger.failed) == (0, 0, 0, 0)


def _write(dsn: Dsn, phase: str) -> None:
    with connect(dsn, purpose="test") as connection:
        connection.execute("INSERT INTO public.phases VALUES (%s)", [phase])


def _phases(dsn: Dsn) -> list[str]:
    with connect(dsn, purpose="test") as connection:
        return [row[0] for row in fetch_all(connection, "SELECT phase FROM phases ORDER BY 1")]


def test_no_way_leads_to_an_older_version(server_of: ServerOf, tmp_path: Path) -> None:
    old, new = server_of("source", 17), server_of("target", 16)
    findings = assess(old.dsn(), new.dsn()).findings
    refused = [one for one in findings if one.severity == "blocking"]
    assert [one.code for one in refused] == ["target.version"]
    assert "16" in refused[0].text


def test_what_no_dump_carries_is_told_before_anything_starts(server_of: ServerOf) -> None:
    old, new = server_of("source", 17), server_of("target", 17)
    database = f"{DATABASE}_keys"
    drop_database(old, database)
    with connect(old.dsn(), purpose="test") as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
    with connect(old.dsn(database), purpose="test") as connection:
        connection.execute(
            "CREATE TABLE taken (day date, EXCLUDE USING btree (day WITH =))"
            " PARTITION BY RANGE (day); CREATE TABLE taken_ever PARTITION OF taken DEFAULT"
        )
    findings = assess(old.dsn(database), new.dsn(database)).findings
    assert [(one.code, one.object) for one in findings if one.severity == "blocking"] == [
        ("schema.exclusion-of-partitions", "public.taken: taken_day_excl")
    ]


MAJORS = (13, 15, 16, 17, 18)
EQUAL = [(13, 15), (15, 16), (15, 17), (16, 18), (17, 18), (18, 18)]
if os.environ.get("NARU_ALL_VERSIONS"):
    EQUAL = [(old, new) for old in MAJORS for new in MAJORS if old <= new]


@pytest.mark.parametrize(("old", "new"), EQUAL)
def test_a_restored_copy_is_the_same_on_any_version(
    old: int, new: int, server_of: ServerOf
) -> None:
    source, target = server_of("source", old), server_of("target", new)
    drop_exotic(DATABASE, source, target)
    dsns = [server.dsn(DATABASE) for server in (source, target)]
    for dsn in dsns:
        with connect(dsn.with_(dbname="postgres"), purpose="test") as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
    fill_exotic(dsns[0])
    transfer_globals(*dsns)
    restore_copy(*dsns)
    verdict = compare(*dsns, options=Options(materialized_rows=True))
    drop_exotic(DATABASE, source, target)
    assert verdict.same, found(verdict)


@pytest.fixture(scope="module")
def far_apart(server_of: ServerOf) -> Iterator[Twins]:
    with make_twins(server_of("source", 13), server_of("target", 18)) as twins:
        yield twins


def test_a_restored_copy_is_the_same_five_versions_on(far_apart: Twins) -> None:
    verdict = compare(far_apart.source, far_apart.target, options=Options(materialized_rows=True))
    assert verdict.same, found(verdict)
    assert verdict.schema == ()


WORDED = {
    "a function's body", "a missing grant", "default privileges", "a default",
    "a column that may be NULL", "a missing constraint", "a constraint not validated",
    "a deferrable foreign key", "an index's condition", "a policy", "a disabled trigger",
    "a missing trigger", "a view's query", "a domain's rule", "a partition's bounds",
    "a grant on the database", "a sequence's step", "identity",
}  # fmt: skip
"""Of the schema's: what versions keep or word differently."""
assert {one.name for one in MUTATIONS} >= WORDED
SUBSET = [one for one in MUTATIONS if one.options is not SCHEMA or one.name in WORDED]


@pytest.mark.parametrize("mutation", SUBSET, ids=[one.name for one in SUBSET])
def test_a_planted_difference_is_found_five_versions_on(
    far_apart: Twins, mutation: Mutation
) -> None:
    with far_apart.clone(*mutation.statements) as spoilt:
        verdict = compare(far_apart.source, spoilt, options=mutation.options)
    assert not verdict.same
    assert mutation.found(verdict), found(verdict)


LOOSE = """
CREATE SCHEMA loose;
CREATE COLLATION loose.loose
    (provider = icu, locale = 'und-u-ks-level1', deterministic = false);
CREATE TABLE loose.word (word text COLLATE loose.loose PRIMARY KEY, gloss text COLLATE loose.loose);
INSERT INTO loose.word VALUES ('apple', 'Fruit'), ('école', 'school'), ('zebra', 'beast');
CREATE TABLE loose.bag (word text COLLATE loose.loose);
INSERT INTO loose.bag VALUES ('Naru'), ('Naru'), ('boat');
CREATE TABLE loose.sorted (
    name text COLLATE {}, size numeric, note text COLLATE {}, PRIMARY KEY (name, size));
INSERT INTO loose.sorted
SELECT (ARRAY['é', 'Ä', 'z', 'Z', '-', '_', 'a', 'å'])[1 + n % 8] || n * 10, n, 'note'
  FROM generate_series(1, 3000) AS n;
"""
SPOIL_LOOSE = """
UPDATE loose.word SET gloss = 'fruit' WHERE word = 'apple';
UPDATE loose.word SET word = 'ecole' WHERE word = 'école';
UPDATE loose.bag SET word = 'naru' WHERE ctid = (SELECT min(ctid) FROM loose.bag);
UPDATE loose.sorted SET note = 'other' WHERE size = 7;
DELETE FROM loose.sorted WHERE size = 8;
INSERT INTO loose.sorted VALUES ('Zz', 0, 'note');
"""


@pytest.fixture
def loose(far_apart: Twins) -> Iterator[Twins]:
    with connect(far_apart.source, purpose="test") as connection:
        connection.execute(LOOSE.replace("{}", '"C"').encode())
        try:
            yield far_apart
        finally:
            connection.execute("DROP SCHEMA loose CASCADE")


def test_neither_order_nor_equality_of_a_collation_hides_a_difference(loose: Twins) -> None:
    """Collations that fold case and accents, and keys that sort otherwise on the two sides."""
    options = Options(schema=False, large_objects=False)
    other = LOOSE.replace("{}", '"sv-x-icu"')
    with loose.clone(other) as copy:
        assert compare(loose.source, copy, options=options).same
        with connect(copy, purpose="test") as connection:
            connection.execute(SPOIL_LOOSE.encode())
        verdict = compare(loose.source, copy, options=options)
    seen = {
        (table.table, row.kind, *row.key.values(), *row.columns)
        for table in verdict.tables
        for row in table.differences
    }
    assert {one for one in seen if one[0] != "loose.sorted"} == {
        ("loose.word", "changed", "apple", "gloss"),
        ("loose.word", "missing", "école"), ("loose.word", "extra", "ecole"),
        ("loose.bag", "missing", "Naru"), ("loose.bag", "extra", "naru"),
    }  # fmt: skip
    assert sorted(one[1:2] + one[3:] for one in seen if one[0] == "loose.sorted") == [
        ("changed", "7", "note"), ("extra", "0"), ("missing", "8"),
    ]  # fmt: skip


LEFT = """
CREATE TABLE marked (id int UNIQUE, note text);
INSERT INTO marked VALUES (1, 'a'), (NULL, 'b'), (NULL, 'c');
ALTER TABLE marked ADD CONSTRAINT marked_id NOT NULL id NOT VALID;
"""


def test_a_column_whose_nulls_were_never_looked_for_is_no_key(server_of: ServerOf) -> None:
    """Since 18 a column can be NOT NULL and hold NULLs; a unique index then names no row."""
    sides = [server_of(side, 18) for side in ("source", "target")]
    name = f"{DATABASE}_marked"
    for server in sides:
        drop_database(server, name)
        with connect(server.dsn(), purpose="test") as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        with connect(server.dsn(name), purpose="test") as connection:
            connection.execute(LEFT)
    source, target = (server.dsn(name) for server in sides)
    assert compare(source, target).same
    with connect(target, purpose="test") as connection:
        # Rows cannot be changed any more while they break the constraint.
        connection.execute(LEFT.replace("TABLE marked (", "TABLE other (").split(";")[0])
        connection.execute("DROP TABLE marked; ALTER TABLE other RENAME TO marked")
        connection.execute("INSERT INTO marked VALUES (1, 'a'), (NULL, 'b'), (NULL, 'x')")
        connection.execute("ALTER TABLE marked ADD CONSTRAINT marked_id NOT NULL id NOT VALID")
    (table,) = compare(source, target, options=Options(schema=False)).tables
    for server in sides:
        drop_database(server, name)
    assert sorted((row.kind, row.key["id"], row.key["note"]) for row in table.differences) == [
        ("extra", None, "x"), ("missing", None, "c"),
    ]  # fmt: skip
