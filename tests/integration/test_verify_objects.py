"""What is no table: a planted difference is named, nothing else is, and statements mend it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from psycopg import sql

from naru.postgres import LocalServer, connect
from naru.verify import SchemaDifference, Verdict, compare
from tests.integration.test_verify_mutations import SCHEMA, Twins, make_twins

pytestmark = pytest.mark.integration

OBJECTS = Path(__file__).with_name("verify_objects.sql")
STRICT = replace(SCHEMA, strict=True)

# What is done to the target, and what must be found by it and by nothing else.
DROPPED: list[tuple[str, str, str]] = [
    ("DROP EVENT TRIGGER watch", "event trigger", "watch"),
    ("DROP LANGUAGE own", "language", "own"),
    ("DROP TRANSFORM FOR macaddr LANGUAGE sql", "transform", "FOR macaddr LANGUAGE sql"),
    ("DROP ACCESS METHOD heap_too", "access method", "heap_too"),
    ("DROP CONVERSION shop.latin", "conversion", "shop.latin"),
    ("DROP CAST (shop.mood AS int)", "cast", "shop.mood AS integer"),
    ("DROP OPERATOR shop.=== (int, int)", "operator", "shop.===(integer,integer)"),
    ("DROP OPERATOR CLASS shop.backwards USING btree", "operator class",
     "shop.backwards for btree"),
    ("DROP COLLATION shop.plain", "collation", "shop.plain"),
    ("DROP TEXT SEARCH DICTIONARY shop.words", "text search dictionary", "shop.words"),
    ("DROP TEXT SEARCH CONFIGURATION shop.texts", "text search", "shop.texts"),
    ("DROP USER MAPPING FOR PUBLIC SERVER far", "user mapping", "PUBLIC at far"),
    ("DROP PUBLICATION books", "publication", "books"),
]  # fmt: skip
CHANGED: list[tuple[str, str, str, str]] = [
    ("ALTER EVENT TRIGGER watch DISABLE", "event trigger", "watch", "enabled"),
    ("CREATE OR REPLACE LANGUAGE own HANDLER shop.own_handler VALIDATOR plpgsql_validator",
     "language", "own", "validator"),
    ("CREATE OR REPLACE TRUSTED LANGUAGE second HANDLER shop.own_handler", "language", "second",
     "trusted"),
    ("CREATE OR REPLACE TRANSFORM FOR macaddr LANGUAGE sql"
     " (FROM SQL WITH FUNCTION prsd_lextype(internal))",
     "transform", "FOR macaddr LANGUAGE sql", "to SQL"),
    ("DROP ACCESS METHOD heap_too; CREATE ACCESS METHOD heap_too TYPE TABLE HANDLER"
     " heap_tableam_handler; COMMENT ON ACCESS METHOD heap_too IS 'x'", "access method",
     "heap_too", "comment"),
    ("ALTER TABLE shop.log SET ACCESS METHOD heap_too", "table", "shop.log", "access method"),
    ("DROP CONVERSION shop.latin; CREATE DEFAULT CONVERSION shop.latin FOR 'LATIN1' TO 'UTF8'"
     " FROM iso8859_1_to_utf8", "conversion", "shop.latin", "default"),
    ("DROP CAST (shop.mood AS int);"
     " CREATE CAST (shop.mood AS int) WITH FUNCTION shop.mood_number(shop.mood)", "cast",
     "shop.mood AS integer", "context"),
    ("ALTER OPERATOR shop.=== (int, int) SET (RESTRICT = eqsel)", "operator",
     "shop.===(integer,integer)", "restriction"),
    ("ALTER OPERATOR FAMILY shop.backwards USING btree ADD OPERATOR 3 = (int, int8)",
     "operator family", "shop.backwards for btree", "operators"),
    ("COMMENT ON OPERATOR CLASS shop.backwards USING btree IS 'x'", "operator class",
     "shop.backwards for btree", "comment"),
    ("COMMENT ON COLLATION shop.plain IS 'x'", "collation", "shop.plain", "comment"),
    ("ALTER TEXT SEARCH CONFIGURATION shop.texts ALTER MAPPING FOR word WITH shop.words",
     "text search", "shop.texts", "mappings"),
    ("COMMENT ON FOREIGN DATA WRAPPER nowhere IS 'x'", "foreign data wrapper", "nowhere",
     "comment"),
    ("ALTER SERVER far VERSION '2'", "foreign server", "far", "version"),
    ("ALTER USER MAPPING FOR PUBLIC SERVER far OPTIONS (ADD name 'x')", "user mapping",
     "PUBLIC at far", "options"),
    ("ALTER INDEX shop.pair_value SET (fillfactor = 50)", "index", "shop.pair_value",
     "definition"),
    ("INSERT INTO pg_seclabel VALUES ('shop.owned'::regclass, 'pg_class'::regclass, 0, 'p', 'x')",
     "security label", "table shop.owned by p", "object"),
    ("INSERT INTO pg_seclabel VALUES ('shop.owned'::regclass, 'pg_class'::regclass, 2, 'p', 'x')",
     "security label", "column shop.owned.what by p", "object"),
    ("INSERT INTO pg_shseclabel SELECT oid, 'pg_database'::regclass, 'p', 'x' FROM pg_database"
     " WHERE datname = current_database()", "security label", "this database by p", "object"),
    ("ALTER PUBLICATION books SET (publish = 'insert')", "publication", "books", "operations"),
    ("ALTER PUBLICATION books ADD TABLES IN SCHEMA public", "publication", "books", "schemas"),
    ("ALTER PUBLICATION books ADD TABLE shop.pair WHERE (id > 5)", "publication", "books",
     "tables"),
]  # fmt: skip
OTHERWISE: list[tuple[str, str, str, str]] = [
    ("DROP EVENT TRIGGER watch; CREATE EVENT TRIGGER watch ON ddl_command_end"
     " WHEN TAG IN ('CREATE CAST') EXECUTE FUNCTION shop.watch()", "event trigger", "watch",
     "tags"),
    ("COMMENT ON LANGUAGE own IS 'x'", "language", "own", "comment"),
    ("ALTER LANGUAGE second OWNER TO {role}", "language", "second", "owner"),
    ("COMMENT ON TRANSFORM FOR macaddr LANGUAGE sql IS 'x'", "transform",
     "FOR macaddr LANGUAGE sql", "comment"),
    ("ALTER CONVERSION shop.latin OWNER TO {role}", "conversion", "shop.latin", "owner"),
    ("COMMENT ON CAST (shop.mood AS int) IS 'x'", "cast", "shop.mood AS integer", "comment"),
    ("COMMENT ON OPERATOR shop.=== (int, int) IS 'x'", "operator", "shop.===(integer,integer)",
     "comment"),
    ("ALTER OPERATOR FAMILY shop.backwards USING btree OWNER TO {role}", "operator family",
     "shop.backwards for btree", "owner"),
    ("COMMENT ON TEXT SEARCH CONFIGURATION shop.texts IS 'x'", "text search", "shop.texts",
     "comment"),
    ("ALTER PUBLICATION books SET (publish_via_partition_root)", "publication", "books",
     "via root"),
    ("ALTER PUBLICATION books SET TABLE shop.owned (id, what)", "publication", "books", "tables"),
    ("COMMENT ON PUBLICATION books IS 'x'", "publication", "books", "comment"),
    ("ALTER SERVER far OWNER TO {role}", "foreign server", "far", "owner"),
]  # fmt: skip
TOO_MUCH = (
    "CREATE OPERATOR shop.!== (FUNCTION = int4ne, LEFTARG = int, RIGHTARG = int)",
    "CREATE CONVERSION shop.other FOR 'LATIN2' TO 'UTF8' FROM iso8859_to_utf8",
    "CREATE COLLATION shop.other (provider = libc, locale = 'C')",
    "CREATE CAST (shop.mood AS int8) WITH INOUT",
    "CREATE ACCESS METHOD more TYPE INDEX HANDLER bthandler",
    "CREATE TRANSFORM FOR bit LANGUAGE sql (FROM SQL WITH FUNCTION prsd_lextype(internal))",
    "CREATE PUBLICATION others FOR ALL TABLES",
    "CREATE USER MAPPING FOR {role} SERVER far",
    "CREATE OPERATOR FAMILY shop.other USING hash",
    "CREATE TEXT SEARCH PARSER shop.other (start = prsd_start, gettoken = prsd_nexttoken,"
    " end = prsd_end, lextypes = prsd_lextype)",
    "CREATE TEXT SEARCH TEMPLATE shop.template (lexize = dsimple_lexize)",
    "CREATE LANGUAGE more HANDLER plpgsql_call_handler",
    "CREATE FUNCTION shop.other() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'",
    "CREATE EVENT TRIGGER other ON sql_drop EXECUTE FUNCTION shop.other()",
    "CREATE FOREIGN DATA WRAPPER other; CREATE SERVER other FOREIGN DATA WRAPPER other",
)


@pytest.fixture(scope="module")
def twins(old_server: LocalServer, new_server: LocalServer) -> Iterator[Twins]:
    with make_twins(old_server, new_server, OBJECTS) as made:
        yield made


def everything(verdict: Verdict) -> list[SchemaDifference]:
    """Differences, and those notes that these objects can have."""
    notes = [note for note in verdict.notes if note.kind == "publication"]
    return [*verdict.schema, *notes]


def named(verdict: Verdict) -> set[tuple[str, str, str]]:
    return {(one.kind, one.object, one.attribute) for one in everything(verdict)}


def test_a_restored_copy_has_all_of_it(twins: Twins) -> None:
    verdict = compare(twins.source, twins.target, options=SCHEMA)
    assert named(verdict) == set()


def test_each_object_that_is_missing_is_named(twins: Twins) -> None:
    with twins.clone(*(statement for statement, _, _ in DROPPED)) as spoilt:
        verdict = compare(twins.source, spoilt, options=SCHEMA)
    found = named(verdict)
    # A mapping that was of the dropped class goes with it.
    found = {one for one in found if one[0] != "operator family"}
    assert found == {(kind, name, "object") for _, kind, name in DROPPED}


@pytest.mark.parametrize("changes", [CHANGED, OTHERWISE], ids=["changed", "otherwise"])
def test_each_attribute_that_differs_is_named(
    twins: Twins, changes: list[tuple[str, str, str, str]]
) -> None:
    with twins.clone(*(statement for statement, _, _, _ in changes)) as spoilt:
        verdict = compare(twins.source, spoilt, options=STRICT)
    assert named(verdict) == {(kind, name, what) for _, kind, name, what in changes}
    assert not verdict.same


def test_a_publication_counts_only_when_asked_for(twins: Twins) -> None:
    with twins.clone("DROP PUBLICATION books") as spoilt:
        assert compare(twins.source, spoilt, options=SCHEMA).same
        assert not compare(twins.source, spoilt, options=STRICT).same


UNMENDED = {"user mapping", "operator", "operator class", "text search"}
"""Secrets, and what takes more than one statement."""


def test_what_is_missing_or_too_much_is_mended_by_its_statement(twins: Twins) -> None:
    dropped = [s for s, kind, _ in DROPPED if kind not in UNMENDED]
    with twins.clone(*dropped, *TOO_MUCH) as spoilt:
        with connect(spoilt, purpose="test") as connection:
            found = everything(compare(twins.source, spoilt, options=SCHEMA))
            assert [one.object for one in found if not one.mend] == ["shop.other()"]
            assert len(found) == len(dropped) + len(TOO_MUCH) + 1
            mends = [one.mend for one in found if one.mend]
            drops = [mend for mend in mends if mend.startswith("DROP ")]
            # What stands on another goes before it, and comes after it.
            for mend in (*drops[::-1], *(mend for mend in mends if mend not in drops)):
                connection.execute(mend.encode())
            connection.execute("DROP FUNCTION shop.other()")
            left = everything(compare(twins.source, spoilt, options=SCHEMA))
    assert left == []


def test_what_differs_is_mended_where_one_statement_does(twins: Twins) -> None:
    changes = [
        (s, kind, name, what)
        for s, kind, name, what in (*CHANGED, *OTHERWISE)
        if what in ("comment", "owner", "enabled", "operations", "tables", "schemas", "via root")
    ]
    assert len(changes) > 15
    with twins.clone(*(statement for statement, _, _, _ in changes)) as spoilt:
        with connect(spoilt, purpose="test") as connection:
            for _ in range(2):
                found = everything(compare(twins.source, spoilt, options=SCHEMA))
                for mend in (one.mend for one in found if one.mend):
                    connection.execute(mend.encode())
            left = everything(compare(twins.source, spoilt, options=SCHEMA))
    assert left == []


def test_tablespaces_are_notes_with_their_statement(twins: Twins) -> None:
    space = f"space_{uuid.uuid4().hex[:8]}"
    moved_names = ("shop.owned", "shop.pair_value", "shop.counts")
    with connect(twins.new_server.dsn(), purpose="test") as admin:
        admin.execute("SET allow_in_place_tablespaces = on")
        admin.execute(sql.SQL("CREATE TABLESPACE {} LOCATION ''").format(sql.Identifier(space)))
        try:
            with twins.clone(
                f"ALTER TABLE shop.owned SET TABLESPACE {space}",
                f"ALTER INDEX shop.pair_value SET TABLESPACE {space}",
                f"ALTER MATERIALIZED VIEW shop.counts SET TABLESPACE {space}",
            ) as moved:
                verdict = compare(twins.source, moved, options=SCHEMA)
                assert verdict.same
                notes = [note for note in verdict.notes if note.attribute == "tablespace"]
                assert {(n.object, n.target) for n in notes} == {(n, space) for n in moved_names}
                with connect(moved, purpose="test") as connection:
                    for note in notes:
                        connection.execute((note.mend or "").encode())
                left = compare(twins.source, moved, options=SCHEMA).notes
                assert [note for note in left if note.attribute == "tablespace"] == []
        finally:
            admin.execute(sql.SQL("DROP TABLESPACE {}").format(sql.Identifier(space)))
