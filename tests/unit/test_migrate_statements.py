"""What is built after the rows, in which phase, and in how many statements."""

from __future__ import annotations

from naru.migrate.archive import IndexFacts, KeyFacts
from naru.migrate.entries import Entry
from naru.migrate.names import Relation
from naru.migrate.statements import (
    Phase,
    Stage,
    Statement,
    plan,
    refresh_and_analyze,
    statements_for,
)

LARGE = 1000
KEY_SQL = 'ALTER TABLE ONLY app."t;1"\n    ADD CONSTRAINT k PRIMARY KEY (id);'
FK_SQL = "ALTER TABLE ONLY app.t\n    ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES app.p(id);"


def entry(number: int, kind: str, sql: str = "X;", *needs: int, oid: int = 0) -> Entry:
    return Entry(number, 0, oid, needs, f"name {number}", kind, "app", sql)


def key(contype: str = "p", **changes: object) -> KeyFacts:
    values: dict[str, object] = {
        "schema": "app", "table": "t;1", "relkind": "r", "contype": contype, "name": "k",
        "validated": True, "deferrable": False, "deferred": False, "table_bytes": 10,
        "index_sql": None,
    }  # fmt: skip
    return KeyFacts(**{**values, **changes})  # type: ignore[arg-type]


def planned(
    *entries: Entry, keys: dict[int, KeyFacts] | None = None, size: int = 10
) -> list[Statement]:
    indexes = {7: IndexFacts("app", "t;1", size)}
    return list(plan(entries, keys or {}, indexes, LARGE))


def test_each_kind_has_its_phase() -> None:
    kinds = {
        "INDEX": Phase.KEYS_AND_INDEXES, "CONSTRAINT": Phase.KEYS_AND_INDEXES,
        "INDEX ATTACH": Phase.KEYS_AND_INDEXES, "FK CONSTRAINT": Phase.CONSTRAINTS,
        "CHECK CONSTRAINT": Phase.CONSTRAINTS, "TRIGGER": Phase.REST, "RULE": Phase.REST,
        "POLICY": Phase.REST, "STATISTICS": Phase.REST, "COMMENT": Phase.REST,
        "EVENT TRIGGER": Phase.REST, "DEFAULT ACL": Phase.REST,
    }  # fmt: skip
    for kind, phase in kinds.items():
        (only,) = planned(entry(1, kind))
        assert only.phase is phase, kind


def test_a_small_table_keeps_its_key_as_one_statement() -> None:
    (only,) = planned(entry(1, "CONSTRAINT", KEY_SQL, oid=5), keys={5: key()})
    assert (only.sql, only.table, only.alone) == (KEY_SQL, Relation("app", "t;1"), False)


def test_a_large_tables_key_is_an_index_first_and_keeps_what_follows() -> None:
    facts = key(
        "u", index_sql="CREATE UNIQUE INDEX k ON t (id)", table_bytes=LARGE + 1,
        deferrable=True, deferred=True,
    )  # fmt: skip
    text = KEY_SQL + '\n\nALTER TABLE app."t;1" CLUSTER ON k;'
    index, use = planned(entry(1, "CONSTRAINT", text, oid=5), keys={5: facts})
    assert (index.stage, index.alone, index.id) == (Stage.BUILD, True, "1:index")
    assert index.sql == "CREATE UNIQUE INDEX k ON t (id);"
    assert (use.stage, use.id) == (Stage.USE, "1")
    assert use.sql == (
        'ALTER TABLE ONLY "app"."t;1" ADD CONSTRAINT "k" UNIQUE USING INDEX "k"'
        ' DEFERRABLE INITIALLY DEFERRED;\n\nALTER TABLE app."t;1" CLUSTER ON k;'
    )


def test_a_foreign_key_is_added_unvalidated_and_validated_after() -> None:
    add, validate = planned(entry(1, "FK CONSTRAINT", FK_SQL, oid=5), keys={5: key("f")})
    assert add.sql.endswith("REFERENCES app.p(id) NOT VALID;")
    assert validate.sql == 'ALTER TABLE "app"."t;1" VALIDATE CONSTRAINT "k";'
    assert add.stage < validate.stage


def test_a_foreign_key_that_is_not_valid_stays_so() -> None:
    text = FK_SQL[:-1] + " NOT VALID;"
    (only,) = planned(entry(1, "FK CONSTRAINT", text, oid=5), keys={5: key("f", validated=False)})
    assert only.sql == text


def test_a_partitioned_tables_foreign_key_is_left_as_it_is() -> None:
    (only,) = planned(entry(1, "FK CONSTRAINT", FK_SQL, oid=5), keys={5: key("f", relkind="p")})
    assert only.sql == FK_SQL


def test_an_index_on_a_view_that_needs_a_key_waits_for_the_view() -> None:
    view = entry(2, "MATERIALIZED VIEW", "V;", 1)
    index = entry(3, "INDEX", "I;", 2, oid=7)
    found = planned(entry(1, "CONSTRAINT"), view, index)
    assert [one.phase for one in found] == [Phase.KEYS_AND_INDEXES, Phase.REST, Phase.REST]
    assert found[2].stage is Stage.ORDERED


def test_event_triggers_and_what_is_said_of_them_come_last() -> None:
    trigger, comment = planned(
        entry(1, "EVENT TRIGGER"),
        Entry(2, 0, 0, (1,), "EVENT TRIGGER watch", "COMMENT", "", "C;"),
    )
    assert trigger.stage is comment.stage is Stage.LAST


def test_only_keys_and_indexes_of_a_table_are_built_with_it() -> None:
    found = planned(
        entry(1, "CONSTRAINT", KEY_SQL, oid=5), entry(2, "INDEX", oid=7),
        entry(3, "INDEX ATTACH"), entry(4, "FK CONSTRAINT", FK_SQL, oid=6),
        keys={5: key(), 6: key("f")},
    )  # fmt: skip
    mine = statements_for(found, Relation("app", "t;1"))
    assert [one.id for one in mine] == ["1", "2"]


def test_names_in_refresh_and_analyze_are_quoted() -> None:
    refresh, analyze = refresh_and_analyze([("a b", "v")], [("a b", 't"x')])
    assert refresh.sql == 'REFRESH MATERIALIZED VIEW "a b"."v"'
    assert analyze.sql == 'ANALYZE "a b"."t""x"'
    assert (refresh.phase, analyze.phase) == (Phase.REST, Phase.ANALYZE)
