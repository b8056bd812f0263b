"""Two databases that are the same are found to be; each planted difference is found and named.

The source is loaded on the old server, the target is its dump restored on the new one. For
each mutation the target is cloned, changed, compared, dropped.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from psycopg import sql

from naru.postgres import Dsn, LocalServer, connect
from naru.system import run
from naru.verify import Options, Verdict, compare
from tests.servers import clients

pytestmark = pytest.mark.integration

SAMPLE = Path(__file__).with_name("verify_sample.sql")


@dataclass(frozen=True)
class Twins:
    """A source, and a target that is the same; `clone` gives a target to be spoilt."""

    source: Dsn
    target: Dsn
    new_server: LocalServer
    role: str

    @contextlib.contextmanager
    def clone(self, *statements: str) -> Iterator[Dsn]:
        """A copy of the target, changed by some statements, for as long as it is used."""
        copy = self.new_server.dsn(f"{self.target.database}_copy")
        make = "CREATE DATABASE {} TEMPLATE {}"
        _on(self.new_server, make, copy.database, self.target.database)
        try:
            with connect(copy, purpose="test") as connection:
                for statement in statements:
                    names = statement.replace("{role}", self.role)
                    connection.execute(names.replace("{database}", copy.database).encode())
            yield copy
        finally:
            _on(self.new_server, "DROP DATABASE {} WITH (FORCE)", copy.database)


def _on(server: LocalServer, statement: str, *names: str) -> None:
    with connect(server.dsn(), purpose="test") as connection:
        identifiers = [sql.Identifier(name) for name in names]
        connection.execute(sql.SQL(statement).format(*identifiers))


@pytest.fixture(scope="module")
def twins(old_server: LocalServer, new_server: LocalServer) -> Iterator[Twins]:
    with make_twins(old_server, new_server) as made:
        yield made


@contextlib.contextmanager
def make_twins(
    old_server: LocalServer, new_server: LocalServer, sample: Path = SAMPLE
) -> Iterator[Twins]:
    """The sample on one server, and its dump restored on the other."""
    name = f"twins_{uuid.uuid4().hex[:8]}"
    servers = (old_server, new_server)
    for server in servers:
        _on(server, "CREATE ROLE {}", name)
        _on(server, "CREATE DATABASE {}", name)
    source, target = (server.dsn(name) for server in servers)
    try:
        with connect(source, purpose="test") as connection:
            text = sample.read_text().replace("{role}", name)
            if connection.info.server_version < 140000:
                text = text.replace("BEGIN ATOMIC SELECT n + 1; END;", "AS 'SELECT n + 1';")
            connection.execute(text.encode())
        restore_copy(source, target)
        yield Twins(source, target, new_server, name)
    finally:
        for server in servers:
            _on(server, "DROP DATABASE {} WITH (FORCE)", name)
            _on(server, "DROP ROLE {}", name)


def test_a_role_that_may_do_more_is_a_note(twins: Twins) -> None:
    _on(twins.new_server, "ALTER ROLE {} CREATEDB", twins.role)
    try:
        verdict = compare(twins.source, twins.target, options=SCHEMA)
    finally:
        _on(twins.new_server, "ALTER ROLE {} NOCREATEDB", twins.role)
    assert verdict.same
    seen = [(note.kind, note.object, note.attribute) for note in verdict.notes]
    assert ("role", twins.role, "creates databases") in seen


def test_what_closes_a_database_to_clients_is_no_difference(twins: Twins) -> None:
    with twins.clone(
        "ALTER DATABASE {database} SET default_transaction_read_only = on",
        "ALTER ROLE postgres IN DATABASE {database} SET default_transaction_read_only = off",
        "ALTER DATABASE {database} CONNECTION LIMIT 0",
    ) as closed:
        verdict = compare(twins.source, closed, options=SCHEMA)
    assert verdict.schema == ()
    assert ("database", "connection limit") in [(n.kind, n.attribute) for n in verdict.notes]


def test_the_statements_that_come_with_differences_mend_them(twins: Twins) -> None:
    spoil = (
        "DROP INDEX shop.person_name",
        "ALTER TABLE shop.person DROP CONSTRAINT person_price_positive",
        "ALTER TABLE shop.person ALTER name DROP NOT NULL, ALTER mood DROP DEFAULT",
        "ALTER TABLE shop.person DISABLE TRIGGER person_touch",
        "ALTER TABLE shop.person DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE shop.log REPLICA IDENTITY FULL",
        "CREATE INDEX ON shop.log (line)",
        "CREATE VIEW shop.more AS SELECT 1",
        "COMMENT ON COLUMN shop.person.nick IS 'it''s other'",
        "COMMENT ON SCHEMA shop IS NULL",
        "ALTER FUNCTION shop.double OWNER TO {role}",
        "ALTER TYPE shop.address OWNER TO {role}",
        "ALTER DOMAIN shop.email OWNER TO {role}",
        "ALTER SEQUENCE shop.tickets INCREMENT 9 CYCLE",
        "DROP STATISTICS shop.person_stats",
        "DROP RULE log_no_delete ON shop.log",
        "ALTER DATABASE {database} SET work_mem = '7MB'",
    )
    with twins.clone(*spoil) as spoilt:
        found = compare(twins.source, spoilt, options=SCHEMA).schema
        mends = [difference.mend for difference in found]
        assert len(mends) >= len(spoil)
        assert [d for d in found if d.mend is None] == []
        with connect(spoilt, purpose="test") as connection:
            for mend in mends:
                connection.execute((mend or "").encode())
        assert compare(twins.source, spoilt, options=SCHEMA).schema == ()


def restore_copy(source: Dsn, target: Dsn) -> None:
    """What pg_dump carries of one database, put into another that is empty."""
    tool = clients().tool
    dump = run([tool("pg_dump")], seconds=60, env=source.environment()).stdout
    with connect(target, purpose="test") as connection:
        version = connection.info.server_version
    # The newest pg_dump writes what these do not know.
    if version < 170000:
        dump = dump.replace("SET transaction_timeout = 0;\n", "")
    if version < 150000:
        dump = dump.replace("\n    LOGGED\n", "\n")
    arguments: list[str | Path] = [tool("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1"]
    run(arguments, seconds=60, env=target.environment(), stdin=dump)


ROWS = Options(schema=False, large_objects=False)
SCHEMA = Options(rows=False, large_objects=False)


@dataclass(frozen=True)
class Mutation:
    """What is done to the target, and how it is known in the verdict."""

    name: str
    statements: tuple[str, ...]
    found: Callable[[Verdict], bool]
    options: Options = ROWS
    columns: tuple[str, ...] = ()
    """What it changes in a row, as `table.column`."""


def row(
    name: str,
    statement: str,
    kind: str,
    key: dict[str, object],
    *columns: str,
    table: str = "person",
) -> Mutation:
    def found(verdict: Verdict) -> bool:
        return (
            any(
                difference.kind == kind and difference.key == key and difference.columns == columns
                for one in verdict.tables
                if one.table == f"shop.{table}"
                for difference in one.differences
            )
            and sum(one.found for one in verdict.tables) == 1
        )

    return Mutation(name, (statement,), found, columns=tuple(f"{table}.{one}" for one in columns))


def only_row(table: str, key: dict[str, str], *columns: str) -> Callable[[Verdict], bool]:
    """Nothing differs but one row, in these columns; keys are compared as text."""

    def found(verdict: Verdict) -> bool:
        seen = [
            (one.table, d.kind, {name: str(value) for name, value in d.key.items()}, d.columns)
            for one in verdict.tables
            for d in one.differences
        ]
        return seen == [(table, "changed", key, columns)]

    return found


def person(name: str, assignment: str, *columns: str) -> Mutation:
    statement = f"UPDATE shop.person SET {assignment} WHERE id = 42"
    return row(name, statement, "changed", {"id": 42}, *columns)


def schema(name: str, statement: str, kind: str, object_: str, attribute: str) -> Mutation:
    def found(verdict: Verdict) -> bool:
        return any(
            (difference.kind, difference.object, difference.attribute) == (kind, object_, attribute)
            for difference in verdict.schema
        )

    return Mutation(name, (statement,), found, SCHEMA)


def large(name: str, statement: str, oid: int, kind: str, *what: str) -> Mutation:
    def found(verdict: Verdict) -> bool:
        seen = [(d.oid, d.kind, d.what) for d in verdict.large_objects.differences]
        return seen == [(oid, kind, what)]

    return Mutation(name, (statement,), found, Options(schema=False, rows=False))


def swapped(verdict: Verdict) -> bool:
    (table,) = [table for table in verdict.tables if table.table == "shop.owned"]
    seen = {(d.kind, d.key["id"], d.columns) for d in table.differences}
    return seen == {("changed", 11, ("what",)), ("changed", 12, ("what",))}


def counted(kind: str, count: int, line: str) -> Callable[[Verdict], bool]:
    def found(verdict: Verdict) -> bool:
        (table,) = [table for table in verdict.tables if table.table == "shop.log"]
        return [(d.kind, d.count, d.key["line"]) for d in table.differences] == [
            (kind, count, line)
        ]

    return found


def sequence(name: str, statement: str, which: str) -> Mutation:
    return Mutation(
        name, (statement,), lambda verdict: [d.sequence for d in verdict.sequences] == [which]
    )


MUTATIONS = [
    Mutation(
        "a column swapped between two rows",
        (
            "UPDATE shop.owned a SET what = b.what FROM shop.owned b"
            " WHERE (a.id, b.id) IN ((11, 12), (12, 11))",
        ),
        swapped,
    ),
    person("NULL for text", "note = NULL", "note", "twice"),
    row("empty text for NULL", "ALTER TABLE shop.person DISABLE TRIGGER person_touch;"
        "UPDATE shop.person SET note = '' WHERE id = 8;"
        "ALTER TABLE shop.person ENABLE TRIGGER person_touch",
        "changed", {"id": 8}, "note", "twice"),
    row("a missing last row", "DELETE FROM shop.pair WHERE right_key = 40", "missing",
        {"left_key": "k400", "right_key": "40.0000000000000000"}, table="pair"),
    row("an extra row", "INSERT INTO shop.pair VALUES ('k401', 1)", "extra",
        {"left_key": "k401", "right_key": "1"}, table="pair"),
    row("a row of a partition", "UPDATE shop.event SET what = '' WHERE id = 300", "changed",
        {"id": 300, "day": "2024-03-27"}, "what", table="event"),
    row("a row of a table with an odd name",
        "UPDATE shop.\"Odd \"\"name\" SET \"a.b\" = 'y' WHERE \"the key\" = md5('3')::uuid",
        "changed", {"the key": "eccbc87e-4b5c-e2fe-2830-8fd9f2a7baf3"}, "a.b",
        table='"Odd ""name"'),
    row("the last bit of a float", "UPDATE shop.scratch SET value = 3.0000002 WHERE id = 3",
        "changed", {"id": 3}, "value", table="scratch"),
    person("the scale of a number", "price = 42.00", "price"),
    person("NaN for a number", "price = 'NaN'", "price"),
    person("minus zero", "weight = '-0'", "weight"),
    person("a day for 24 hours", "nap = '1 day'", "nap"),
    person("spacing in json", """doc = '{"b": 1, "a": 2}'""", "doc"),
    person("the scale of a number in jsonb", """data = '{"a": 1.0}'""", "data"),
    person("the case of a citext", "nick = 'nick42'", "nick"),
    person("a label of an enum", "mood = '좋다'", "mood"),
    person("a label in an array of an enum", "moods = '{sad,좋다}'", "moods"),
    person("an enum within a composite", "home.mood = 'ok'", "home"),
    person("a NULL within a composite", "home.street = NULL", "home"),
    person("a number in an array in a composite", "home.places[2] = 0.10000000000000002", "home"),
    person("NULL within an array", "tags = '{a,NULL,NULL}'", "tags"),
    person("the bounds of an array", "grid = '[0:1]={1,2}'", "grid"),
    person("a microsecond", "seen = seen + '1 microsecond'", "seen"),
    person("a key of an hstore", "extra = 'a=>1,b=>\"NULL\"'", "extra"),
    person("a point", "shape = '(-0,1)'", "shape"),
    person("a range", "span = '[1,6)'", "span"),
    person("a bound of a range of one's own", "scores = '[1,2)'", "scores"),
    person("a leading bit", "flags = '0101'", "flags"),
    person("text of fixed width", "fixed = 'b'", "fixed"),
    person("a cent", "paid = 12.35", "paid"),
    person("a position in a tsvector", "words = '''a'':1 ''b'':2'::tsvector", "words"),
    person("a netmask", "net = '10.1.3.32/24'", "net"),
    person("a byte", "body = set_byte(body, 3, 0)", "body"),
    person("an empty element of xml", "file = '<a></a>'", "file"),
    person("a regclass", "kind = 'pg_type'", "kind"),
    person("a domain", "email = 'P42@example.com'", "email"),
    person("a key twice in json", """doc = '{"b": 1,  "a": 2, "a": 2}'""", "doc"),
    person("the last bit of a double", "weight = 5e-324", "weight"),
    person("infinity for a day", "born = 'infinity'", "born"),
    person("a UUID", "token = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", "token"),
    person("a NULL for an empty array", "tags = NULL", "tags"),
    *(
        row(f"a {column}", f"UPDATE shop.figure SET {column} = '{value}' WHERE id = 2", "changed",
            {"id": 2}, column, table="figure")
        for column, value in (
            ("line", "{1,-1,-0}"), ("lseg", "[(1,1),(0,0)]"), ("box", "(1,1),(-0,0)"),
            ("path", "((0,0),(1,1))"), ("polygon", "((1,1),(0,0))"), ("circle", "<(-0,0),1>"),
            ("bits", "011"), ("hour", "12:00:00+08"), ("hardware", "08:00:2b:01:02:04"),
            ("query", "a & b"), ("spans", '{"[2024-01-01,2024-01-03)"}'), ("flat", "b"),
        )
    ),
    row("a row of a table that others inherit from",
        "UPDATE ONLY shop.vehicle SET what = 'x' WHERE id = 7", "changed", {"id": 7}, "what",
        table="vehicle"),
    Mutation("a row of a table that inherits", ("UPDATE shop.car SET doors = 5 WHERE id = 7",),
             lambda verdict: {
                 (table.table, d.kind, d.count, d.key["id"], d.key["doors"])
                 for table in verdict.tables for d in table.differences
             } == {("shop.car", "missing", 1, "7", "4"), ("shop.car", "extra", 1, "7", "5")}),
    Mutation("a row where only the target is partitioned",
             ("CREATE TABLE shop.divided (LIKE shop.pair INCLUDING ALL)"
              " PARTITION BY HASH (left_key)",
              *(f"CREATE TABLE shop.divided_{n} PARTITION OF shop.divided"
                f" FOR VALUES WITH (MODULUS 4, REMAINDER {n})" for n in range(4)),
              "INSERT INTO shop.divided SELECT * FROM shop.pair", "DROP TABLE shop.pair",
              "ALTER TABLE shop.divided RENAME TO pair",
              "UPDATE shop.pair SET value = 'x' WHERE left_key = 'k7'"),
             only_row("shop.pair", {"left_key": "k7", "right_key": "0.70000000000000000000"},
                      "value")),
    Mutation("a row where only the source is partitioned",
             ("CREATE TABLE shop.whole (LIKE shop.event INCLUDING ALL)",
              "INSERT INTO shop.whole SELECT * FROM shop.event", "DROP TABLE shop.event",
              "ALTER TABLE shop.whole RENAME TO event",
              "UPDATE shop.event SET what = 'x' WHERE id = 300"),
             only_row("shop.event", {"id": "300", "day": "2024-03-27"}, "what")),
    Mutation("a generated column of another expression",
             ("ALTER TABLE shop.person DROP twice, ADD twice int"
              " GENERATED ALWAYS AS (length(note) * 2 + (id = 42)::int) STORED",),
             only_row("shop.person", {"id": "42"}, "twice")),
    person("a space at the end", "name = name || ' '", "name"),
    person("a text of bounded length", "status = 'old'", "status"),
    Mutation("one more of equal rows",
             ("INSERT INTO shop.log VALUES ('2024-01-01', 'line 7', 'ok')",),
             counted("extra", 1, "line 7")),
    Mutation("two fewer of equal rows",
             ("ALTER TABLE shop.log DISABLE RULE log_no_delete",
              "DELETE FROM shop.log WHERE ctid IN"
              " (SELECT ctid FROM shop.log WHERE line = 'line 9' LIMIT 2)",
              "ALTER TABLE shop.log ENABLE RULE log_no_delete"),
             counted("missing", 2, "line 9")),
    Mutation("a table of no columns", ("TRUNCATE shop.nothing_at_all",), lambda verdict: any(
        table.found == 1 for table in verdict.tables if table.table == "shop.nothing_at_all")),
    sequence("a sequence off by one", "SELECT setval('shop.tickets', 106)", "shop.tickets"),
    sequence("a sequence not called", "SELECT setval('shop.owned_id_seq', 500, false)",
             "shop.owned_id_seq"),
    large("a byte of a large object", "SELECT lo_put(700001, 9000, 'x')", 700001, "changed",
          "content"),
    large("a zero at the end of a large object", "SELECT lo_put(700002, 5, '\\x00')", 700002,
          "changed", "size"),
    large("a missing large object", "SELECT lo_unlink(700002)", 700002, "missing"),
    large("an extra large object", "SELECT lo_create(700003)", 700003, "extra"),
    large("a grant on a large object", "REVOKE SELECT ON LARGE OBJECT 700001 FROM {role}", 700001,
          "changed", "grants"),
    schema("a function's body",
           "CREATE OR REPLACE FUNCTION shop.double(n int) RETURNS int LANGUAGE sql IMMUTABLE"
           " STRICT AS 'SELECT n * 3'", "function", "shop.double(n integer)", "body"),
    schema("the body of a function in the standard's form",
           "CREATE OR REPLACE FUNCTION shop.modern(n int) RETURNS int LANGUAGE sql BEGIN ATOMIC"
           " SELECT n + 2; END", "function", "shop.modern(n integer)", "body"),
    schema("a function's volatility", "ALTER FUNCTION shop.double STABLE", "function",
           "shop.double(n integer)", "volatility"),
    schema("a function's settings", "ALTER FUNCTION shop.touch SET work_mem = '1MB'", "function",
           "shop.touch()", "settings"),
    schema("the right to execute", "GRANT EXECUTE ON FUNCTION shop.double TO PUBLIC", "function",
           "shop.double(n integer)", "grants"),
    schema("a missing grant", "REVOKE INSERT ON shop.person FROM {role}", "table", "shop.person",
           "grants"),
    schema("a grant option", "GRANT SELECT ON shop.person TO {role} WITH GRANT OPTION", "table",
           "shop.person", "grants"),
    schema("a grant on a column", "REVOKE UPDATE (note) ON shop.person FROM {role}", "column",
           "shop.person.note", "grants"),
    schema("default privileges", "ALTER DEFAULT PRIVILEGES IN SCHEMA shop GRANT INSERT ON TABLES"
           " TO {role}", "default privileges", "postgres in shop for r", "grants"),
    schema("an owner", "ALTER TABLE shop.pair OWNER TO {role}", "table", "shop.pair", "owner"),
    schema("a comment", "COMMENT ON COLUMN shop.person.nick IS NULL", "column",
           "shop.person.nick", "comment"),
    schema("a default", "ALTER TABLE shop.person ALTER mood SET DEFAULT 'sad'", "column",
           "shop.person.mood", "default"),
    schema("a column's length", "ALTER TABLE shop.pair ALTER value TYPE varchar(50)", "column",
           "shop.pair.value", "type"),
    schema("a column that may be NULL", "ALTER TABLE shop.person ALTER name DROP NOT NULL",
           "column", "shop.person.name", "not null"),
    schema("a collation", 'ALTER TABLE shop.pair ALTER value TYPE text COLLATE "C"', "column",
           "shop.pair.value", "collation"),
    schema("an extra column", "ALTER TABLE shop.pair ADD more int", "column", "shop.pair.more",
           "object"),
    schema("identity", "ALTER TABLE shop.person ALTER id SET GENERATED ALWAYS", "column",
           "shop.person.id", "identity"),
    schema("a missing constraint", "ALTER TABLE shop.person DROP CONSTRAINT person_price_positive",
           "constraint", "shop.person.person_price_positive", "object"),
    schema("a constraint not validated",
           "ALTER TABLE shop.person DROP CONSTRAINT person_price_positive,"
           " ADD CONSTRAINT person_price_positive CHECK (price >= 0) NOT VALID",
           "constraint", "shop.person.person_price_positive", "validated"),
    schema("a deferrable foreign key",
           "ALTER TABLE shop.owned ALTER CONSTRAINT owned_person_id_fkey DEFERRABLE",
           "constraint", "shop.owned.owned_person_id_fkey", "deferrable"),
    schema("a missing index", "DROP INDEX shop.person_name", "index", "shop.person_name",
           "object"),
    schema("an index's condition", "DROP INDEX shop.person_name; CREATE INDEX person_name ON"
           " shop.person (lower(name)) WHERE price > 1", "index", "shop.person_name",
           "definition"),
    schema("an invalid index", "UPDATE pg_index SET indisvalid = false"
           " WHERE indexrelid = 'shop.person_name'::regclass", "index", "shop.person_name",
           "object"),
    schema("replica identity", "ALTER TABLE shop.log REPLICA IDENTITY FULL", "table", "shop.log",
           "replica identity"),
    schema("a storage parameter", "ALTER TABLE shop.owned SET (fillfactor = 80)", "table",
           "shop.owned", "options"),
    schema("a logged table", "ALTER TABLE shop.scratch SET LOGGED", "table", "shop.scratch",
           "persistence"),
    schema("row security", "ALTER TABLE shop.person DISABLE ROW LEVEL SECURITY", "table",
           "shop.person", "row security"),
    schema("a policy", "ALTER POLICY person_own ON shop.person USING (true)", "policy",
           "shop.person.person_own", "using"),
    schema("a disabled trigger", "ALTER TABLE shop.person DISABLE TRIGGER person_touch", "trigger",
           "shop.person.person_touch", "enabled"),
    schema("a trigger that always fires",
           "ALTER TABLE shop.person ENABLE ALWAYS TRIGGER person_touch", "trigger",
           "shop.person.person_touch", "enabled"),
    schema("a disabled rule", "ALTER TABLE shop.log DISABLE RULE log_no_delete", "rule",
           "shop.log.log_no_delete", "enabled"),
    schema("how much statistics gather", "ALTER STATISTICS shop.person_stats SET STATISTICS 10",
           "statistics", "shop.person_stats", "target"),
    schema("whom a policy is for", "ALTER POLICY person_own ON shop.person TO PUBLIC", "policy",
           "shop.person.person_own", "roles"),
    schema("a missing trigger", "DROP TRIGGER person_touch ON shop.person", "trigger",
           "shop.person.person_touch", "object"),
    schema("a rule", "DROP RULE log_no_delete ON shop.log", "rule", "shop.log.log_no_delete",
           "object"),
    schema("a view's query", "CREATE OR REPLACE VIEW shop.cheap AS SELECT id, name FROM"
           " shop.person WHERE price < 101 AND id IN (SELECT person_id FROM shop.owned)", "view",
           "shop.cheap", "query"),
    schema("a column that comes from another table", "CREATE OR REPLACE VIEW shop.joined AS"
           " SELECT o.person_id AS id, o.what FROM shop.person p JOIN shop.owned o"
           " ON o.person_id = p.id", "view", "shop.joined", "query"),
    schema("a missing view", "DROP VIEW shop.cheap", "view", "shop.cheap", "object"),
    schema("a view that is not refreshed", "REFRESH MATERIALIZED VIEW shop.counts WITH NO DATA",
           "view", "shop.counts", "populated"),
    schema("a label more", "ALTER TYPE shop.mood ADD VALUE 'new'", "type", "shop.mood", "labels"),
    schema("a domain's rule", "ALTER DOMAIN shop.email DROP CONSTRAINT email_check", "type",
           "shop.email", "constraints"),
    schema("a composite's attribute", "CREATE TYPE shop.more AS (a int)", "type", "shop.more",
           "object"),
    schema("a sequence's step", "ALTER SEQUENCE shop.tickets INCREMENT 10", "sequence",
           "shop.tickets", "increment"),
    schema("statistics", "DROP STATISTICS shop.person_stats", "statistics", "shop.person_stats",
           "object"),
    schema("a partition's bounds", "ALTER TABLE shop.event DETACH PARTITION shop.event_2023;"
           "ALTER TABLE shop.event ATTACH PARTITION shop.event_2023"
           " FOR VALUES FROM ('2022-01-01') TO ('2024-01-01')", "table", "shop.event_2023",
           "partition bound"),
    schema("a missing table", "DROP TABLE shop.pair", "table", "shop.pair", "object"),
    schema("a missing extension", "DROP EXTENSION hstore CASCADE", "extension", "hstore",
           "object"),
    schema("a setting of the database", "ALTER DATABASE {database} SET work_mem = '7MB'", "setting",
           "work_mem", "object"),
    schema("a grant on the database", "GRANT CREATE ON DATABASE {database} TO {role}", "database",
           "this database", "grants"),
    schema("the comment of the database", "COMMENT ON DATABASE {database} IS 'other'", "database",
           "this database", "comment"),
    schema("an option of a dictionary", "ALTER TEXT SEARCH DICTIONARY shop.words (accept = false)",
           "text search dictionary", "shop.words", "options"),
    schema("an operator class", "DROP OPERATOR CLASS shop.backwards USING btree",
           "operator class", "shop.backwards for btree", "object"),
    schema("an option of a foreign server", "ALTER SERVER far OPTIONS (SET host 'elsewhere')",
           "foreign server", "far", "options"),
    schema("a user mapping", "DROP USER MAPPING FOR PUBLIC SERVER far", "user mapping",
           "PUBLIC at far", "object"),
    schema("an option of a foreign table", "ALTER FOREIGN TABLE shop.outer OPTIONS (ADD x 'y')",
           "table", 'shop."outer"', "foreign options"),
    schema("a procedure", "DROP PROCEDURE shop.nothing", "function", "shop.nothing()", "object"),
    schema("an aggregate's start", "DROP AGGREGATE shop.total(int); CREATE AGGREGATE"
           " shop.total(int) (sfunc = int4pl, stype = int, initcond = '1')", "function",
           "shop.total(integer)", "aggregate"),
]  # fmt: skip


def test_a_restored_copy_is_the_same(twins: Twins) -> None:
    verdict = compare(twins.source, twins.target, options=Options(materialized_rows=True))
    assert verdict.to_json()["schema"] == []
    assert [table for table in verdict.tables if not table.same] == []
    assert verdict.sequences == ()
    assert verdict.sequences_compared == 3
    assert verdict.large_objects.same
    assert verdict.large_objects.count == 2
    assert verdict.same
    assert verdict.rows == 5000 + 3000 + 400 + 500 + 2000 + 50 + 1 + 20 + 1 + 3 + 30 + 30


def test_every_column_of_the_types_has_a_planted_difference(twins: Twins) -> None:
    with connect(twins.source, purpose="test") as connection:
        query = (
            "SELECT table_name || '.' || column_name FROM information_schema.columns"
            " WHERE table_schema = 'shop' AND table_name IN ('person', 'figure')"
            " AND column_name <> 'id'"
        )
        columns = {str(row[0]) for row in connection.execute(query)}
    assert columns - {one for mutation in MUTATIONS for one in mutation.columns} == set()
    assert len(columns) > 40


@pytest.mark.parametrize("mutation", MUTATIONS, ids=[mutation.name for mutation in MUTATIONS])
def test_a_planted_difference_is_found_and_named(twins: Twins, mutation: Mutation) -> None:
    with twins.clone(*mutation.statements) as spoilt:
        verdict = compare(twins.source, spoilt, options=mutation.options)
    assert not verdict.same
    assert mutation.found(verdict), verdict.to_json()
