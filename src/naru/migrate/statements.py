"""From the archive's entries to statements with a phase: what is built, and in which order."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from psycopg import sql

from naru.migrate.archive import IndexFacts, KeyFacts
from naru.migrate.entries import Entry
from naru.migrate.names import Relation


class Phase(IntEnum):
    """When a statement runs. Each phase needs those before it."""

    KEYS_AND_INDEXES = 1
    CONSTRAINTS = 2
    REST = 3
    ANALYZE = 4


class Stage(IntEnum):
    """Order inside a phase; stages marked serial run one statement after the other."""

    BUILD = 1
    USE = 2
    """ADD CONSTRAINT … USING INDEX, of an index built before."""
    ATTACH = 3
    """Serial: partitions' indexes to those of their parents, in the archive's order."""
    ADD = 4
    """Serial: foreign keys lock two tables, and two at once could deadlock."""
    VALIDATE = 5
    ORDERED = 6
    """Serial, in the archive's order."""
    REFRESH = 7
    """Serial: materialized views, each after those that it reads."""
    LAST = 8
    """Serial: event triggers, which must not fire at what we do."""
    ANALYZE = 9


SERIAL = frozenset({Stage.ATTACH, Stage.ADD, Stage.ORDERED, Stage.REFRESH, Stage.LAST})
TOLERANT = frozenset({Stage.VALIDATE, Stage.REFRESH})
"""Stages whose failures are reported and do not stop the rest."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One thing to do on the target; `id` is unique in its archive and the same in every run."""

    id: str
    phase: Phase
    stage: Stage
    kind: str
    """As pg_dump calls it: `INDEX`, `CONSTRAINT`, `TRIGGER` …; or `VALIDATE`, `ANALYZE` …"""
    schema: str
    name: str
    table: Relation | None
    """The table that it is on, for keys, indexes and foreign keys."""
    size: int
    """Bytes of that table on the source; large ones come first."""
    alone: bool
    """True if it is worth a worker of its own: an index of a large table."""
    sql: str

    def __str__(self) -> str:
        if self.kind == "ANALYZE":
            return f"analyze {self.table}"
        place = f" on {self.table}" if self.table else ""
        return f"{self.kind.lower()} {self.name}{place}"


def plan(
    entries: Iterable[Entry],
    keys: dict[int, KeyFacts],
    indexes: dict[int, IndexFacts],
    large: int,
) -> Iterator[Statement]:
    """Statements of the post-data section, in the archive's order.

    A statement never comes in an earlier phase than one it depends on: an index on a
    materialized view that needs a primary key waits for the view.
    """
    phases: dict[int, Phase] = {}
    for entry in entries:
        own = _phase(entry)
        phase = max([own, *(phases.get(number, own) for number in entry.dependencies)])
        phases[entry.number] = phase
        if not entry.sql:
            continue
        if phase is not own:
            yield _plain(entry, phase)
        else:
            yield from _statements(entry, keys, indexes, large)


def refresh_and_analyze(
    matviews: Sequence[tuple[str, str]], analyzed: Sequence[tuple[str, str]]
) -> Iterator[Statement]:
    """What the archive does not hold: contents of materialized views, and statistics."""
    for schema, name in matviews:
        text = sql.SQL("REFRESH MATERIALIZED VIEW {}").format(sql.Identifier(schema, name))
        yield Statement(
            f"refresh {schema}.{name}", Phase.REST, Stage.REFRESH, "REFRESH", schema,
            f"{schema}.{name}", None, 0, False, text.as_string(),
        )  # fmt: skip
    for place, (schema, name) in enumerate(analyzed):
        text = sql.SQL("ANALYZE {}").format(sql.Identifier(schema, name))
        yield Statement(
            f"analyze {schema}.{name}", Phase.ANALYZE, Stage.ANALYZE, "ANALYZE", schema,
            name, Relation(schema, name), len(analyzed) - place, True, text.as_string(),
        )  # fmt: skip


def statements_for(statements: Iterable[Statement], table: Relation) -> list[Statement]:
    """Keys and indexes of one table, to be built as soon as its rows are there."""
    return [
        one
        for one in statements
        if one.table == table
        and one.phase is Phase.KEYS_AND_INDEXES
        and one.stage in (Stage.BUILD, Stage.USE)
    ]


def _phase(entry: Entry) -> Phase:
    if entry.type in ("INDEX", "CONSTRAINT", "INDEX ATTACH"):
        return Phase.KEYS_AND_INDEXES
    if entry.type in ("CHECK CONSTRAINT", "FK CONSTRAINT"):
        return Phase.CONSTRAINTS
    return Phase.REST


def _statements(
    entry: Entry, keys: dict[int, KeyFacts], indexes: dict[int, IndexFacts], large: int
) -> Iterator[Statement]:
    if entry.type == "INDEX" and entry.oid in indexes:
        index = indexes[entry.oid]
        yield _of_table(entry, index, Stage.BUILD, entry.sql, large)
    elif entry.type == "INDEX ATTACH":
        yield _plain(entry, Phase.KEYS_AND_INDEXES, Stage.ATTACH)
    elif entry.type == "CONSTRAINT" and entry.oid in keys:
        yield from _key(entry, keys[entry.oid], large)
    elif entry.type == "FK CONSTRAINT" and entry.oid in keys:
        yield from _foreign_key(entry, keys[entry.oid])
    elif entry.type == "CHECK CONSTRAINT":
        yield _plain(entry, Phase.CONSTRAINTS, Stage.ADD)
    else:
        yield _plain(entry, _phase(entry))


def _plain(entry: Entry, phase: Phase, stage: Stage | None = None) -> Statement:
    if stage is None:
        of_event_trigger = entry.type == "EVENT TRIGGER" or entry.name.startswith("EVENT TRIGGER ")
        stage = Stage.LAST if of_event_trigger else Stage.ORDERED
    return Statement(
        str(entry.number), phase, stage, entry.type, entry.schema, entry.name, None, 0, False,
        f"{entry.state}\n{entry.sql}" if entry.type == "MATERIALIZED VIEW" else entry.sql,
    )  # fmt: skip


def _of_table(
    entry: Entry,
    facts: IndexFacts | KeyFacts,
    stage: Stage,
    text: str,
    large: int,
    suffix: str = "",
) -> Statement:
    return Statement(
        f"{entry.number}{suffix}", Phase.KEYS_AND_INDEXES, stage, entry.type, entry.schema,
        entry.name, Relation(facts.schema, facts.table),
        facts.table_bytes,
        stage is Stage.BUILD and facts.table_bytes > large, text,
    )  # fmt: skip


_FIRST_COMMAND = re.compile(r"ALTER TABLE ONLY [^\n]+\n    ADD CONSTRAINT [^\n]+;(?=\n|$)")


def _key(entry: Entry, key: KeyFacts, large: int) -> Iterator[Statement]:
    """A key of a large table becomes an index, built beside others, and then a constraint."""
    first = _FIRST_COMMAND.match(entry.sql)
    if key.index_sql is None or first is None or key.contype not in ("p", "u"):
        yield _of_table(entry, key, Stage.BUILD, entry.sql, large)
        return
    words = "PRIMARY KEY" if key.contype == "p" else "UNIQUE"
    timing = " DEFERRABLE" if key.deferrable else ""
    timing += " INITIALLY DEFERRED" if key.deferred else ""
    use = sql.SQL("ALTER TABLE ONLY {} ADD CONSTRAINT {} {} USING INDEX {}{};").format(
        sql.Identifier(key.schema, key.table), sql.Identifier(key.name), sql.SQL(words),
        sql.Identifier(key.name), sql.SQL(timing),
    )  # fmt: skip
    yield _of_table(entry, key, Stage.BUILD, key.index_sql + ";", large, ":index")
    yield _of_table(entry, key, Stage.USE, use.as_string() + entry.sql[first.end() :], large)


def _foreign_key(entry: Entry, key: KeyFacts) -> Iterator[Statement]:
    """Added unvalidated, then validated beside others; not with partitions on either side.

    A key of a partitioned table cannot be added so; and validating one that refers to a
    partitioned table leaves its parts, one for each partition, unvalidated.
    """
    table = Relation(key.schema, key.table)
    text = entry.sql
    deferred_check = key.validated and key.relkind == "r" and text.endswith(";")
    if deferred_check:
        text = text[:-1] + " NOT VALID;"
    yield Statement(
        str(entry.number), Phase.CONSTRAINTS, Stage.ADD, entry.type, entry.schema, entry.name,
        table, key.table_bytes, False, text,
    )  # fmt: skip
    if deferred_check:
        validate = sql.SQL("ALTER TABLE {} VALIDATE CONSTRAINT {};").format(
            table.identifier, sql.Identifier(key.name)
        )
        yield Statement(
            f"{entry.number}:validate", Phase.CONSTRAINTS, Stage.VALIDATE, "VALIDATE",
            entry.schema, entry.name, table, key.table_bytes, False, validate.as_string(),
        )  # fmt: skip
