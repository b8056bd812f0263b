"""Each rule of --equal hides what it says, in keys as well, and nothing else."""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from psycopg import sql
from typer.testing import CliRunner

from naru.cli.main import app
from naru.errors import UsageError
from naru.postgres import Dsn, LocalServer, connect, fetch_all
from naru.verify import Equality, Options, Repair, Verdict, apply, compare, hashing

pytestmark = pytest.mark.integration

CONTENT = """
CREATE DOMAIN amount AS numeric CHECK (VALUE < 1e9);
CREATE TABLE v (
    id int PRIMARY KEY, num numeric, dom amount, nums numeric[], f8 float8, f4 float4,
    ts timestamp, tz timestamptz, tt time, j json, jb jsonb, tx text, vc varchar(20), ch char(5));
INSERT INTO v SELECT n, 1.5, 1.5, '{1.5}', 1.0/3, 1.0/3, '2024-02-29 12:00:00.123456',
    '2024-02-29 12:00:00.123456+00', '23:59:59.123456', '{"a": 1, "b": "\\ud83d\\ude00"}',
    '{"a": 1}', 'Word é', 'Word', 'Ab' FROM generate_series(1, 60) AS n;
UPDATE v SET f8 = '-Infinity', f4 = 'NaN', num = 'NaN', j = '{"a": "\\u0000"}' WHERE id > 50;
UPDATE v SET tx = '', vc = '', ch = '' WHERE id = 40;
"""
EXACT, SCALE, DIGITS, SECONDS, MS, JSON, SPACES, CASE, EMPTY = (
    "", "numeric-scale", "float-digits=6", "timestamp-precision=s", "timestamp-precision=ms",
    "json-text", "trailing-spaces", "case", "null-empty",
)  # fmt: skip
RULES = (EXACT, SCALE, DIGITS, SECONDS, MS, JSON, SPACES, CASE, EMPTY)

CHANGES: list[tuple[str, set[str]]] = [
    ("num = 1.500", {SCALE}),
    ("dom = 1.500", {SCALE}),
    ("num = 1.501", set()),
    ("num = NULL", set()),
    ("num = 'NaN'", set()),
    ("nums = '{1.500}'", set()),
    ("f8 = 0.33333334", {DIGITS}),
    ("f4 = 0.33333331", {DIGITS}),
    ("f8 = 0.333334", set()),
    ("f8 = 0.333333e-9", set()),
    ("f8 = -f8", set()),
    ("f8 = 'NaN'", set()),
    ("ts = ts + '40 microseconds'", {SECONDS, MS}),
    ("tz = tz + '40 microseconds'", {SECONDS, MS}),
    ("tt = tt + '40 microseconds'", {SECONDS, MS}),
    ("ts = ts + '200 milliseconds'", {SECONDS}),
    ("ts = ts + '400 milliseconds'", set()),
    ("""j = '{ "b":"😀","a":0,"a":1}'""", {JSON}),
    ('j = \'{"a": 1.0, "b": "😀"}\'', set()),
    ("jb = '{\"a\": 1.0}'", set()),
    (r"""j = '{"a":1,"b":"\\ud83d"}'""", set()),
    ("j = NULL", set()),
    ("tx = tx || '  '", {SPACES}),
    ("vc = vc || ' '", {SPACES}),
    ("tx = tx || E'\\t'", set()),
    ("tx = ' ' || tx", set()),
    ("tx = 'wORD é'", {CASE}),
    ("vc = 'WORD'", {CASE}),
    ("ch = 'aB'", {CASE}),
    ("tx = 'Word É'", set()),
]
EMPTIED: list[tuple[str, set[str]]] = [
    ("tx = NULL", {EMPTY}),
    ("vc = NULL", {EMPTY}),
    ("ch = NULL", {EMPTY}),
    ("tx = ' '", {SPACES}),
]
SPECIAL: list[tuple[str, set[str]]] = [
    ("f8 = 'Infinity'", set()),
    ("f4 = 'Infinity'", set()),
    ("num = '-1'", set()),
    ('j = \'{"a":  "\\u0000"}\'', set()),
]


@dataclass(frozen=True)
class Pair:
    source: Dsn
    target: Dsn


def on(dsn: Dsn, statements: str) -> None:
    with connect(dsn, purpose="test") as connection:
        connection.execute(statements.encode())


@pytest.fixture(scope="module")
def pair(old_server: LocalServer, new_server: LocalServer) -> Iterator[Pair]:
    name = f"equal_{uuid.uuid4().hex[:8]}"
    made = Pair(old_server.dsn(name), new_server.dsn(name))
    with contextlib.ExitStack() as stack:
        for server in (old_server, new_server):
            admin = stack.enter_context(connect(server.dsn(), purpose="test"))
            database = sql.Identifier(name)
            make = "CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C'"
            admin.execute(sql.SQL(make + " LC_CTYPE 'C'").format(database))
            drop = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(database)
            stack.callback(admin.execute, drop)
            on(server.dsn(name), CONTENT)
        for number, (change, _) in enumerate(CHANGES, start=1):
            on(made.target, f"UPDATE v SET {change} WHERE id = {number}")
        for dsn in (made.source, made.target):
            on(dsn, "UPDATE v SET tx = '', vc = '', ch = '' WHERE id BETWEEN 41 AND 44")
        for number, (change, _) in enumerate(EMPTIED, start=41):
            on(made.target, f"UPDATE v SET {change} WHERE id = {number}")
        for number, (change, _) in enumerate(SPECIAL, start=51):
            on(made.target, f"UPDATE v SET {change} WHERE id = {number}")
        yield made


def rows(pair: Pair, *rules: str, table: str = "v") -> Verdict:
    options = Options(schema=False, tables=(table,), equal=Equality.parse(rules))
    return compare(pair.source, pair.target, options=options)


def keys(verdict: Verdict) -> set[object]:
    (table,) = verdict.tables
    return {row.key["id"] for row in table.differences}


@pytest.mark.parametrize("method", ["record", "text"])
@pytest.mark.parametrize("rule", RULES)
def test_a_rule_hides_what_it_says_and_nothing_else(
    pair: Pair, rule: str, method: hashing.Method, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashing, "METHODS", (method,))
    every = [*enumerate(CHANGES, 1), *enumerate(EMPTIED, 41), *enumerate(SPECIAL, 51)]
    left = {number for number, (_, hidden_by) in every if rule not in hidden_by}
    assert keys(rows(pair, *([rule] if rule else []))) == left


def test_rules_work_together(pair: Pair) -> None:
    rules = [SCALE, DIGITS, SECONDS, JSON, EMPTY, CASE, SPACES]
    every = [*enumerate(CHANGES, 1), *enumerate(EMPTIED, 41), *enumerate(SPECIAL, 51)]
    # A blank is an empty text once its spaces do not count.
    assert keys(rows(pair, *rules)) == {number for number, (_, by) in every if not by}


def test_a_rule_for_one_column_leaves_the_others_exact(pair: Pair) -> None:
    verdict = rows(pair, "public.v.num:numeric-scale")
    assert 1 not in keys(verdict)
    assert 2 in keys(verdict)
    assert verdict.tables[0].loosened == ("num: numeric-scale",)
    assert verdict.to_json()["tables"][0]["loosened"] == ["num: numeric-scale"]
    own = rows(pair, "float-digits=15", "*.v.f8:float-digits=6")
    assert (7 in keys(own), 8 in keys(own)) == (False, True)


KEYED = """
CREATE TABLE by_number (id numeric PRIMARY KEY, note text);
CREATE TABLE by_fixed (id char(4) PRIMARY KEY, note text);
CREATE TABLE by_text (id text PRIMARY KEY, note text);
"""


def test_a_rule_holds_for_keys_too(pair: Pair) -> None:
    for dsn in (pair.source, pair.target):
        on(dsn, KEYED)
    on(pair.source, "INSERT INTO by_number SELECT n, 'n' FROM generate_series(1, 30) n;"
        "INSERT INTO by_fixed SELECT n, 'n' FROM generate_series(1, 30) n;"
        "INSERT INTO by_text SELECT 'k' || n, 'n' FROM generate_series(1, 30) n;"
        "INSERT INTO by_text VALUES ('k1 ', 'n')")  # fmt: skip
    on(pair.target, "INSERT INTO by_number SELECT n + 0.00, 'n' FROM generate_series(1, 30) n;"
        "ALTER TABLE by_fixed ALTER id TYPE char(9);"
        "INSERT INTO by_fixed SELECT n, 'n' FROM generate_series(1, 30) n;"
        "INSERT INTO by_text SELECT 'k' || n || '  ', 'n' FROM generate_series(1, 30) n;"
        "INSERT INTO by_text VALUES ('k1', 'n')")  # fmt: skip
    assert rows(pair, table="by_number").tables[0].found == 60
    assert rows(pair, SCALE, table="by_number").same
    assert not rows(pair, table="by_fixed").same
    assert rows(pair, SPACES, EMPTY, table="by_fixed").same
    assert not rows(pair, table="by_text").same
    assert rows(pair, SPACES, table="by_text").same
    on(pair.target, "UPDATE by_number SET note = 'm' WHERE id = 7;"
        "UPDATE by_fixed SET note = 'm' WHERE id = '7';"
        "UPDATE by_text SET note = 'm' WHERE id = 'k1'")  # fmt: skip
    for table, rule, key in (("by_number", SCALE, "7"), ("by_fixed", SPACES, "7")):
        (found,) = rows(pair, rule, table=table).tables[0].differences
        assert (found.kind, found.key, found.columns) == ("changed", {"id": key}, ("note",))
    # Both 'k1' and 'k1 ' are keys here, and one key by the rule: so rows are a multiset.
    kinds = [(d.kind, d.count) for d in rows(pair, SPACES, table="by_text").tables[0].differences]
    assert sorted(kinds) == [("extra", 1), ("missing", 1)]


def test_a_rule_holds_where_the_types_differ(pair: Pair) -> None:
    on(pair.source, "CREATE TABLE changed (id int PRIMARY KEY, a json, b char(6), c numeric,"
       " d float4); INSERT INTO changed VALUES (1, '{ \"b\":1,\"a\":2}', 'x', 7.00, 0.1),"
       " (2, '[]', 'y', 7.10, 0.2)")  # fmt: skip
    on(pair.target, "CREATE TABLE changed (id int PRIMARY KEY, a jsonb, b varchar(6), c int8,"
       " d float8); INSERT INTO changed VALUES (1, '{\"b\":1,\"a\":2}', 'x', 7, 0.1),"
       " (2, '[ ]', 'z', 7, 0.2)")  # fmt: skip
    assert keys(rows(pair, table="changed")) == {1, 2}
    (found,) = rows(pair, JSON, SPACES, SCALE, DIGITS, table="changed").tables[0].differences
    assert (found.key, found.columns) == ({"id": 2}, ("b", "c"))


def test_columns_and_tables_can_be_left_out(pair: Pair) -> None:
    on(pair.source, "CREATE TABLE only_here (id int)")
    options = Options(
        except_tables=("only_here", "public.by_*", "changed", "v"), large_objects=False
    )
    assert compare(pair.source, pair.target, options=options).same
    numbers = Options(schema=False, tables=("v",), except_columns=("public.v.[!ni]*",))
    verdict = compare(pair.source, pair.target, options=numbers)
    assert keys(verdict) == {1, 3, 4, 5, 6, 53}
    assert any("public.v.tx" in text and "--except-column" in text for text in verdict.not_compared)
    on(pair.source, "DROP TABLE only_here")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (Options(tables=("public.vv",)), "did you mean public.v"),
        (Options(except_tables=("nowhere",)), "write schema.table"),
        (Options(except_columns=("public.v.nums2",)), "did you mean public.v.nums"),
        (Options(equal=Equality.parse(["public.v.numm:numeric-scale"])), "public.v.num"),
        (Options(equal=Equality.parse(["public.v.tx:numeric-scale"])), "is for numeric"),
    ],
)
def test_what_is_named_must_exist(pair: Pair, options: Options, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        compare(pair.source, pair.target, options=options)
    assert said in str(caught.value)


def test_a_repair_leaves_what_is_equal_by_a_rule_or_left_out(pair: Pair, tmp_path: Path) -> None:
    """Rows beyond the rule become exactly like the source's; columns left out stay the target's."""
    for dsn in (pair.source, pair.target):
        on(dsn, "CREATE TABLE w (id int PRIMARY KEY, num numeric, note text, code text UNIQUE);"
           "INSERT INTO w SELECT n, 1.00, 'source', 'c' || n FROM generate_series(1, 6) AS n;"
           "CREATE TABLE bag AS SELECT num, note FROM w")  # fmt: skip
    on(pair.target, "UPDATE w SET num = 1.0 WHERE id = 2;"
       "UPDATE w SET num = 9, note = 'target' WHERE id = 3;"
       "UPDATE w SET note = 'target' WHERE id = 4; DELETE FROM w WHERE id = 5;"
       "UPDATE w SET code = 'x', note = 'target' WHERE id = 6; UPDATE bag SET num = 7")  # fmt: skip
    options = Options(
        tables=("w", "bag"), equal=Equality.parse([SCALE]), except_columns=("public.*.note",)
    )
    repair = Repair(tmp_path / "r.sql")
    try:
        compare(pair.source, pair.target, options=options, repair=repair)
        assert repair.plan is not None
        counts = {name: vars(one) for name, one in repair.plan.tables.items()}
        assert counts == {"public.w": {"deletes": 0, "updates": 2, "inserts": 1, "unmended": 0}}
        assert any("table public.bag: its rows have no key" in one for one in repair.plan.left)
        apply(repair.script, pair.target)
        verdict = compare(pair.source, pair.target, options=options)
        assert [table.table for table in verdict.tables if not table.same] == ["public.bag"]
        with connect(pair.target, purpose="test") as connection:
            found = fetch_all(connection, "SELECT id, num::text, note, code FROM w ORDER BY id")
    finally:
        for dsn in (pair.source, pair.target):
            on(dsn, "DROP TABLE w, bag")
    assert found == [
        (1, "1.00", "source", "c1"), (2, "1.0", "source", "c2"), (3, "1.00", "target", "c3"),
        (4, "1.00", "target", "c4"), (5, "1.00", "source", "c5"), (6, "1.00", "target", "c6"),
    ]  # fmt: skip


def test_verdict_and_certificate_say_what_was_not_exact(pair: Pair, tmp_path: Path) -> None:
    page = tmp_path / "certificate.html"
    words = ["verify", "--source", pair.source.conninfo(), "--target", pair.target.conninfo(),
             "--table", "v", "--equal", SCALE, "--except-column", "public.v.[!ni]*",
             "--certificate", str(page), "--state", str(tmp_path)]  # fmt: skip
    on(pair.target, "UPDATE v SET num = 1.5, nums = '{1.5}' WHERE id IN (3, 4, 5, 6);"
       "UPDATE v SET num = 'NaN' WHERE id = 53")  # fmt: skip
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("the same by numeric-scale: 60 rows in 1 tables")
    said = page.read_text()
    assert "no difference but what the rules below allow was found" in said
    assert "1.0 is 1.00): public.v.num" in said
    document = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert document["tables"][0]["loosened"] == ["num: numeric-scale"]
