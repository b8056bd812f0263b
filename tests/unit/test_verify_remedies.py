"""The statement that mends a difference of the schema, from what both catalogs say."""

from __future__ import annotations

from typing import Any

import pytest

from naru.verify.remedies import remedy
from naru.verify.schema import file_for, kinds

Doc = dict[str, Any]
TABLE = 'shop."Odd.name"'


@pytest.mark.parametrize(
    ("kind", "part", "attribute", "source", "target", "statement"),
    [
        ("index", None, "object", {"definition": "CREATE INDEX i ON t (a)"}, None,
         "CREATE INDEX i ON t (a);"),
        ("constraint", "c", "object", {"definition": "CHECK ((a > 0))"}, None,
         f"ALTER TABLE {TABLE} ADD CONSTRAINT c CHECK ((a > 0));"),
        ("constraint", "c", "validated", {"validated": True}, {"validated": False},
         f"ALTER TABLE {TABLE} VALIDATE CONSTRAINT c;"),
        ("trigger", '"t t"', "object", None, {}, f'DROP TRIGGER "t t" ON {TABLE};'),
        ("trigger", "t", "enabled", {"enabled": "D"}, {"enabled": "O"},
         f"ALTER TABLE {TABLE} DISABLE TRIGGER t;"),
        ("column", "a", "not null", {"not null": True}, {"not null": False},
         f"ALTER TABLE {TABLE} ALTER COLUMN a SET NOT NULL;"),
        ("column", "a", "default", {}, {"default": "1"},
         f"ALTER TABLE {TABLE} ALTER COLUMN a DROP DEFAULT;"),
        ("column", "a", "default", {"default": "(b + 1)", "generated": "s"}, {}, None),
        ("column", "a", "comment", {"comment": "it's"}, {},
         f"COMMENT ON COLUMN {TABLE}.a IS 'it''s';"),
        ("table", None, "owner", {"kind": "table", "owner": 'a"b'}, {},
         f'ALTER TABLE {TABLE} OWNER TO "a""b";'),
        ("table", None, "row security", {"row security": False}, {},
         f"ALTER TABLE {TABLE} DISABLE ROW LEVEL SECURITY;"),
        ("table", None, "object", None, {"kind": "table"}, None),
    ],
)  # fmt: skip
def test_a_plain_difference_has_its_statement(
    kind: str, part: str | None, attribute: str, source: Doc | None, target: Doc | None,
    statement: str | None,
) -> None:  # fmt: skip
    name = f"{TABLE}.{part}" if part else TABLE
    assert remedy(kind, name, TABLE, attribute, source, target, "db") == statement


def test_settings_are_set_on_the_target_database_unless_hidden() -> None:
    value = {"value": "Asia/Seoul"}
    assert (
        remedy("setting", "timezone", None, "value", value, None, "a b")
        == "ALTER DATABASE \"a b\" SET timezone = 'Asia/Seoul';"
    )
    value["value"] = '"$user", "Odd one"'
    assert (
        remedy("setting", "search_path", None, "value", value, None, "d")
        == "ALTER DATABASE \"d\" SET search_path = '$user', 'Odd one';"
    )
    assert remedy("setting", "timezone", None, "object", None, value, "d") == (
        'ALTER DATABASE "d" RESET timezone;'
    )
    assert remedy("setting", "app.key", None, "value", {"value": "hidden 7"}, None, "d") is None


@pytest.mark.parametrize(
    ("kind", "name", "doc", "statement"),
    [
        ("publication", "p", {"all tables": True, "operations": ["insert", "update"],
                              "via root": False},
         "CREATE PUBLICATION p FOR ALL TABLES WITH (publish = 'insert, update',"
         " publish_via_partition_root = false);"),
        ("publication", "p", {"tables": ["s.t (id) WHERE (id > 5)"], "schemas": ["s"],
                              "operations": ["insert"]},
         "CREATE PUBLICATION p FOR TABLE s.t (id) WHERE (id > 5), TABLES IN SCHEMA s"
         " WITH (publish = 'insert');"),
        ("publication", "p", {"operations": []}, "CREATE PUBLICATION p WITH (publish = '');"),
        ("collation", "s.c", {"provider": "i", "locale": "ko", "deterministic": "false"},
         "CREATE COLLATION s.c (provider = icu, locale = 'ko', deterministic = false);"),
        ("cast", "a AS b", {"method": "b", "context": "i"},
         "CREATE CAST (a AS b) WITHOUT FUNCTION AS IMPLICIT;"),
        ("event trigger", "e", {"enabled": "D", "event": "sql_drop", "function": "f"}, None),
        ("security label", "x", {"label": "it's", "provider": "p", "on": "TABLE", "name": "s.t"},
         "SECURITY LABEL FOR p ON TABLE s.t IS 'it''s';"),
        ("user mapping", "PUBLIC at far", {"options": ["password"]}, None),
        ("foreign server", "far", {"wrapper": "w"}, None),
        ("table", "s.t", {"kind": "table"}, None),
    ],
)  # fmt: skip
def test_what_the_target_lacks_is_made_where_one_statement_does(
    kind: str, name: str, doc: Doc, statement: str | None
) -> None:
    assert remedy(kind, name, None, "object", doc, None, "d") == statement


@pytest.mark.parametrize(
    ("kind", "name", "statement"),
    [
        ("operator class", "s.o for btree", "DROP OPERATOR CLASS s.o USING btree;"),
        ("text search parser", "s.p (template)", "DROP TEXT SEARCH TEMPLATE s.p;"),
        ("user mapping", "PUBLIC at far", "DROP USER MAPPING FOR PUBLIC SERVER far;"),
        ("language", "own", "DROP LANGUAGE own;"),
        ("schema", "s", None),
        ("table", "s.t", None),
        ("type", "s.t", None),
        ("sequence", "s.q", None),
    ],
)
def test_what_the_target_has_too_much_is_dropped_unless_rows_may_hang_on_it(
    kind: str, name: str, statement: str | None
) -> None:
    assert remedy(kind, name, None, "object", None, {"kind": "table"}, "d") == statement


def test_a_newer_server_is_asked_by_the_query_for_it() -> None:
    assert file_for("98_publication.sql", 140012) == "98_publication.sql"
    assert file_for("98_publication.sql", 150000) == "98_publication.15.sql"
    assert file_for("30_table.sql", 180000) == "30_table.sql"
    assert "98_publication.sql" in kinds()
    assert "98_publication.15.sql" not in kinds()
