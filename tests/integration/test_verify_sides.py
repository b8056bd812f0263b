"""Sides that are hard: big tables, other encodings, old hashes, few rights, the command itself."""

from __future__ import annotations

import contextlib
import json
import re
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from psycopg import sql
from typer.testing import CliRunner

from naru.cli.main import app
from naru.errors import DeadlineError, NotPermittedError, UsageError
from naru.postgres import Dsn, LocalServer, connect
from naru.verify import Options, compare, descent, hashing, relations, side
from naru.verify.types import SAMPLES
from tests.servers import free_port

pytestmark = pytest.mark.integration

TABLES = """
CREATE TABLE "사람" (id uuid PRIMARY KEY, name text NOT NULL, price numeric, at timestamptz);
INSERT INTO "사람" SELECT md5(n::text)::uuid, '이름 é ' || n, n / 3.0, '2024-01-01 00:00+09'
  FROM generate_series(1, 4000) AS n;
CREATE TABLE bag (line text, level int);
INSERT INTO bag SELECT '줄 ' || n % 100, n % 3 FROM generate_series(1, 3000) AS n;
"""
SPOIL = """
UPDATE "사람" SET price = price * 1.0 WHERE id = md5('7')::uuid;
DELETE FROM bag WHERE ctid = (SELECT min(ctid) FROM bag);
"""


@dataclass(frozen=True)
class Pair:
    source: Dsn
    target: Dsn
    old: LocalServer
    new: LocalServer


@contextlib.contextmanager
def databases(
    old: LocalServer, new: LocalServer, *, source_encoding: str = "UTF8"
) -> Iterator[Pair]:
    name = f"sides_{uuid.uuid4().hex[:8]}"
    with contextlib.ExitStack() as stack:
        for server, encoding in ((old, source_encoding), (new, "UTF8")):
            admin = stack.enter_context(connect(server.dsn(), purpose="test"))
            make = "CREATE DATABASE {} TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C' ENCODING {}"
            admin.execute(sql.SQL(make).format(sql.Identifier(name), sql.Literal(encoding)))
            drop = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
            stack.callback(admin.execute, drop)
            database = stack.enter_context(connect(server.dsn(name), purpose="test"))
            database.execute("SET client_encoding = 'UTF8'")
            database.execute(TABLES.replace("é", "" if source_encoding == "EUC_KR" else "é"))
        yield Pair(old.dsn(name), new.dsn(name), old, new)


@pytest.fixture
def pair(old_server: LocalServer, new_server: LocalServer) -> Iterator[Pair]:
    with databases(old_server, new_server) as made:
        yield made


def spoil(dsn: Dsn) -> None:
    with connect(dsn, purpose="test") as connection:
        connection.execute(SPOIL)


def found(pair: Pair) -> dict[str, list[tuple[str, object, tuple[str, ...]]]]:
    verdict = compare(pair.source, pair.target)
    return {
        table.table: [(d.kind, d.key.get("id"), d.columns) for d in table.differences]
        for table in verdict.tables
    }


NOTHING: dict[str, list[object]] = {'public."사람"': [], "public.bag": []}
SPOILT = {
    'public."사람"': [("changed", "8f14e45f-ceea-167a-5a36-dedd4bea2543", ("price",))],
    "public.bag": [("missing", None, ())],
}


@pytest.mark.parametrize("method", ["record", "text", "md5"])
def test_every_hash_finds_the_same(
    pair: Pair, method: hashing.Method, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashing, "METHODS", (method,))
    assert found(pair) == NOTHING
    spoil(pair.target)
    assert found(pair) == SPOILT


def test_big_tables_are_read_in_parts(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relations, "PART_PAGES", 3)
    assert found(pair) == NOTHING
    spoil(pair.target)
    assert found(pair) == SPOILT


MANY = """
CREATE TABLE by_number AS SELECT n::int8 AS id, 'note' AS note FROM generate_series(1, 5000) AS n;
ALTER TABLE by_number ADD PRIMARY KEY (id);
CREATE TABLE by_text AS SELECT 'k' || n AS id, 'note' AS note FROM generate_series(1, 5000) AS n;
ALTER TABLE by_text ADD PRIMARY KEY (id);
CREATE TABLE by_nothing AS SELECT n AS id, 'note' AS note FROM generate_series(1, 5000) AS n;
"""
SPOIL_MANY = """
UPDATE {0} SET note = 'other' WHERE note = 'note' AND right(id::text, 1) IN ('3', '5', '7');
DELETE FROM {0} WHERE right(id::text, 2) = '11';
INSERT INTO {0} SELECT {1}, 'more' FROM generate_series(100001, 100020) AS n;
"""


@pytest.mark.parametrize("method", ["record", "text"])
def test_many_differences_are_counted_to_the_last_and_the_first_are_named(
    pair: Pair, method: hashing.Method, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By streams of both sides in lists, whatever the key; and where every bucket differs."""
    monkeypatch.setattr(hashing, "METHODS", (method,))
    monkeypatch.setattr(descent, "_ROWS_TO_STREAM", 0)
    monkeypatch.setattr(side, "BATCH", 70)
    tables = {"by_number": "n", "by_text": "'k' || n", "by_nothing": "n"}
    for dsn in (pair.source, pair.target):
        with connect(dsn, purpose="test") as connection:
            connection.execute(MANY)
    with connect(pair.target, purpose="test") as connection:
        for table, key in tables.items():
            connection.execute(SPOIL_MANY.format(table, key).encode())
    options = Options(schema=False, tables=tuple(tables), max_differences=7)
    seen = {one.table: one for one in compare(pair.source, pair.target, options=options).tables}
    for table in ("public.by_number", "public.by_text"):
        assert seen[table].kinds == {"changed": 1500, "missing": 50, "extra": 20}
        assert seen[table].found == 1570
        assert len(seen[table].differences) == 7
    assert [row.key["id"] for row in seen["public.by_number"].differences] == [
        3, 5, 7, 11, 13, 15, 17,
    ]  # fmt: skip
    assert seen["public.by_nothing"].kinds == {"missing": 1550, "extra": 1520}


def test_databases_of_different_encodings_hold_the_same(
    old_server: LocalServer, new_server: LocalServer
) -> None:
    with databases(old_server, new_server, source_encoding="EUC_KR") as pair:
        with connect(pair.target, purpose="test") as target:
            target.execute("""UPDATE "사람" SET name = replace(name, 'é', '')""")
        assert found(pair) == NOTHING
        assert [note.kind for note in compare(pair.source, pair.target).notes] == ["database"]
        assert not compare(pair.source, pair.target, options=Options(strict=True)).same
        spoil(pair.target)
        assert found(pair) == SPOILT


OTHERS = """
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TYPE spot AS (x int, mood mood);
CREATE DOMAIN feeling AS mood;
CREATE DOMAIN numbers AS int[] CHECK (cardinality(VALUE) < 9);
CREATE DOMAIN place AS spot;
CREATE DOMAIN stretch AS int4range;
CREATE DOMAIN shortened AS varchar(9);
CREATE TABLE other (id int2 PRIMARY KEY, a feeling, b numbers, c place, d stretch, e shortened,
    f feeling[], g spot[], h regtype, i int2vector, j aclitem, k xid, l bit(3)[], m refcursor,
    n cid, o bpchar, p name[], q tsrange[], r money[], s regclass[]);
INSERT INTO other VALUES (-3, 'ok', '{1,NULL}', '(1,ok)', '[1,4)', 'x', '{ok}', '{"(1,sad)"}',
    'int', '1 2', 'postgres=r/postgres', '7', '{101}', 'c', '8', 'b ', '{a}', '{empty}', '{1.00}',
    '{pg_class}');
"""


def test_every_type_can_be_compared(pair: Pair) -> None:
    names = sorted(SAMPLES)
    columns = [sql.Identifier(f"a {name}") for name in names]
    kinds = [sql.SQL("pg_catalog.") + sql.Identifier(name) for name in names]
    shapes = [sql.SQL("{} {}").format(*each) for each in zip(columns, kinds, strict=True)]
    values = [sql.Literal(SAMPLES[name]) for name in names]
    for dsn in (pair.source, pair.target):
        with connect(dsn, purpose="test") as connection:
            connection.execute(
                sql.SQL("CREATE TABLE every (id int PRIMARY KEY, {})").format(
                    sql.SQL(", ").join(shapes)
                )
            )
            connection.execute(
                sql.SQL("INSERT INTO every VALUES (1, {})").format(sql.SQL(", ").join(values))
            )
            connection.execute(OTHERS)
    assert found(pair) == {**NOTHING, "public.every": [], "public.other": []}
    with connect(pair.target, purpose="test") as connection:
        for column in columns:
            connection.execute(sql.SQL("UPDATE every SET {} = NULL").format(column))
        connection.execute("UPDATE other SET a = 'sad', b[1] = 2, c.x = 2, i = '1 3', r = '{1.01}'")
    assert found(pair) == {
        **NOTHING,
        "public.every": [("changed", 1, tuple(f"a {name}" for name in names))],
        "public.other": [("changed", -3, ("a", "b", "c", "i", "r"))],
    }


@contextlib.contextmanager
def reader(pair: Pair) -> Iterator[tuple[Dsn, Dsn]]:
    """A role that may read all tables and is nothing more, on both sides."""
    name, word = f"reader_{uuid.uuid4().hex[:8]}", uuid.uuid4().hex
    with contextlib.ExitStack() as stack:
        for server, dsn in ((pair.old, pair.source), (pair.new, pair.target)):
            admin = stack.enter_context(connect(server.dsn(dsn.database), purpose="test"))
            role = sql.Identifier(name)
            admin.execute(
                sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(role, sql.Literal(word))
            )
            admin.execute(sql.SQL("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {}").format(role))
            stack.callback(admin.execute, sql.SQL("DROP ROLE {}").format(role))
            stack.callback(admin.execute, sql.SQL("DROP OWNED BY {}").format(role))
        yield (
            pair.source.with_(user=name, password=word),
            pair.target.with_(user=name, password=word),
        )


def test_a_mere_reader_compares_all_it_may_read(pair: Pair) -> None:
    with reader(pair) as (source, target):
        assert compare(source, target).same


def test_large_objects_that_may_not_be_read_are_said_to_be_left_out(pair: Pair) -> None:
    for dsn in (pair.source, pair.target):
        with connect(dsn, purpose="test") as connection:
            connection.execute("SELECT lo_from_bytea(1234567, 'naru')")
    with reader(pair) as (source, target):
        verdict = compare(source, target)
    assert not verdict.large_objects.compared
    assert any("large object 1234567" in text for text in verdict.not_compared)


def test_large_objects_that_only_may_be_read_are_compared(pair: Pair) -> None:
    for dsn in (pair.source, pair.target):
        with connect(dsn, purpose="test") as connection:
            connection.execute("SELECT lo_from_bytea(1234567, repeat('naru', 300000)::bytea)")
            connection.execute("GRANT SELECT ON LARGE OBJECT 1234567 TO PUBLIC")
    with reader(pair) as (source, target):
        same = compare(source, target).large_objects
        with connect(pair.target, purpose="test") as connection:
            connection.execute("SELECT lo_put(1234567, 1100000, 'x')")
        other = compare(source, target).large_objects
    assert (same.same, same.count, same.bytes) == (True, 1, 1_200_000)
    assert [(d.oid, d.what) for d in other.differences] == [(1234567, ("content",))]


def test_row_security_that_would_hide_rows_is_an_error(pair: Pair) -> None:
    with connect(pair.target, purpose="test") as target:
        target.execute("ALTER TABLE bag ENABLE ROW LEVEL SECURITY")
    with reader(pair) as (source, dsn):
        with pytest.raises(NotPermittedError, match="row-level security"):
            compare(source, dsn)


def command(source: Dsn, target: Dsn, *more: str) -> tuple[int, str]:
    sides = ["--source", source.conninfo(), "--target", target.conninfo()]
    with tempfile.TemporaryDirectory() as state:
        result = CliRunner().invoke(app, ["verify", *sides, "--state", state, *more])
    return result.exit_code, result.stdout


def test_the_command_says_the_same_with_exit_code_0(pair: Pair) -> None:
    code, out = command(pair.source, pair.target)
    assert code == 0
    assert out.startswith("the same: 7,000 rows in 2 tables")


def test_the_command_names_differences_with_exit_code_1(pair: Pair) -> None:
    spoil(pair.target)
    code, out = command(pair.source, pair.target, "--table", "사람", "--table", '"사람"')
    assert code == 1
    assert out.splitlines()[1:] == [
        'table public."사람": changed id=8f14e45f-ceea-167a-5a36-dedd4bea2543 in price'
    ]


def test_the_command_gives_one_json_document(pair: Pair) -> None:
    spoil(pair.target)
    code, out = command(pair.source, pair.target, "--json", "--jobs", "1")
    document = json.loads(out)
    assert code == 1
    assert document["same"] is False
    assert document["rows"] == 7000
    assert [table["same"] for table in document["tables"]] == [False, False]


def test_the_command_writes_a_certificate(pair: Pair, tmp_path: Path) -> None:
    page = tmp_path / "certificate.html"
    code, _ = command(pair.source, pair.target, "--certificate", str(page))
    assert code == 0
    said = page.read_text()
    assert "7,000 rows in 2 tables were compared, and no difference was found" in said
    assert str(pair.source) in said


LONG = """
CREATE TABLE long (id int PRIMARY KEY, words text, body bytea, doc jsonb, far text);
ALTER TABLE long ALTER body SET STORAGE EXTERNAL;
INSERT INTO long VALUES (1, repeat('말', 500000) || '{}', decode(repeat('00ff', 700000), 'hex')
    || '\\x{}', jsonb_build_object('a', repeat('x', 3000), 'b', {}), '{}' || repeat('y', 1000));
INSERT INTO long VALUES (2), (3);
"""


def test_the_page_shows_both_values_and_where_long_ones_first_differ(
    pair: Pair, tmp_path: Path
) -> None:
    sides = ((pair.source, ("one", "1d", 1, "k")), (pair.target, ("two", "2d", 2, "l")))
    for dsn, values in sides:
        with connect(dsn, purpose="test") as connection:
            connection.execute(LONG.format(*values).encode())
    with connect(pair.target, purpose="test") as connection:
        connection.execute("UPDATE long SET words = '' WHERE id = 2; DELETE FROM long WHERE id = 3")
    page = tmp_path / "differences.html"
    code, _ = command(pair.source, pair.target, "--html", str(page), "--table", "long")
    assert code == 1
    html = page.read_text()
    marks = re.findall(r"<mark>(.*?)</mark>", html)
    assert "".join(mark for mark in marks if len(mark) < 4) == "onetwo1d2d12kl"
    starts = [int(start.replace(",", "")) for start in re.findall(r"from byte ([\d,]+) on", html)]
    assert [start // 100_000 for start in starts[:4]] == [14, 14, 13, 13]
    assert 'class="null">NULL' in html
    assert 'class="null">empty' in html
    assert "2 changed, 1 missing" in html


def test_a_database_is_not_compared_with_itself(pair: Pair) -> None:
    other_name = pair.source.with_(host="localhost")
    with pytest.raises(UsageError, match="one and the same database"):
        compare(pair.source, other_name)


def test_two_databases_without_a_table_are_the_same_and_it_says_why(pair: Pair) -> None:
    verdict = compare(pair.source, pair.target, options=Options(except_tables=("*",)))
    assert verdict.same
    assert "rows: neither side has a table that was to be compared" in verdict.not_compared


def test_a_lock_that_is_in_the_way_is_told_with_who_holds_it(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(side._PINNED, "lock_timeout", "100ms")
    with connect(pair.target, purpose="test", autocommit=False) as holder:
        holder.execute('LOCK TABLE "사람" IN ACCESS EXCLUSIVE MODE')
        with pytest.raises(DeadlineError, match=r"reading the schema \(index\)") as caught:
            compare(pair.source, pair.target)
    assert "pg_locks" in (caught.value.remedy or "")


def test_an_unreachable_side_ends_with_exit_code_3(pair: Pair, tmp_path: Path) -> None:
    nowhere = pair.target.with_(port=str(free_port()))
    result = CliRunner().invoke(
        app,
        ["verify", "--source", pair.source.conninfo(), "--target", nowhere.conninfo(),
         "--state", str(tmp_path)],
    )  # fmt: skip
    assert getattr(result.exception, "exit_code", None) == 3
    assert result.stdout == ""
