"""The statement that mends a difference of the schema, from what both catalogs say."""

from __future__ import annotations

from typing import Any

import pytest

from naru.verify.remedies import remedy

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
    assert remedy("setting", "timezone", None, "object", None, value, "d") == (
        'ALTER DATABASE "d" RESET timezone;'
    )
    assert remedy("setting", "app.key", None, "value", {"value": "hidden 7"}, None, "d") is None
