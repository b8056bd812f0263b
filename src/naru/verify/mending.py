"""Statements that make the rows of one table on the target like the source's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from psycopg import sql

from naru.postgres import Connection, fetch_all
from naru.verify.half import Half
from naru.verify.relations import both_have
from naru.verify.rows import CHUNK, Suspect
from naru.verify.script import equal, line, literal, names, values
from naru.verify.statements import Key

Section = Literal["deletes", "updates", "gone", "again", "inserts"]
SECTIONS: tuple[Section, ...] = ("deletes", "updates", "gone", "again", "inserts")
"""`gone` and `again` are rows replaced whole, since an update could meet a unique key."""

_BATCH = 20

_COLUMNS = """
SELECT a.attname, coalesce(to_jsonb(a) ->> 'attgenerated', '') <> '', a.attidentity = 'a',
       EXISTS (SELECT FROM pg_catalog.pg_index i
                WHERE i.indrelid = a.attrelid AND (i.indisunique OR i.indisexclusion)
                  AND (a.attnum = ANY(i.indkey::int2[]) OR i.indexprs IS NOT NULL
                       OR i.indpred IS NOT NULL))
  FROM pg_catalog.pg_attribute a
  JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE (n.nspname, c.relname) = (%s, %s) AND a.attnum > 0 AND NOT a.attisdropped
"""


@dataclass
class Counts:
    """How many rows of a table are mended, and how many cannot be."""

    deletes: int = 0
    updates: int = 0
    inserts: int = 0
    unmended: int = 0


@dataclass(frozen=True)
class _Facts:
    """Columns of the target that cannot be written, or not by an update."""

    generated: frozenset[str]
    fixed: frozenset[str]
    unique: frozenset[str]


@dataclass
class TableMending:
    """Takes the rows of one table that differ, and writes statements into its folder.

    Never holds more than a chunk of them. `folder` exists; each section becomes a file.
    """

    source: Half
    target: Half
    folder: Path
    counts: Counts = field(default_factory=Counts)
    _kept: list[Suspect] = field(default_factory=list)
    _known: _Facts | None = None

    def take(self, suspect: Suspect) -> None:
        """One more row that differs."""
        self._kept.append(suspect)
        if len(self._kept) == CHUNK:
            self.flush()

    def flush(self) -> None:
        """Write what is kept; to be called at the end."""
        kept, self._kept = self._kept, []
        if not kept:
            return
        if self._known is None:
            self._known = self._on(self.target, self._read_facts)
        write = self._keyed if self.source.statements.key else self._counted
        write(kept, self._known)

    def _on(self, half: Half, work: Callable[[Connection], Any]) -> Any:
        """Do some work on one of that side's workers, in the comparison's snapshot."""
        doing = f"reading {half.statements.relation.name} to mend it"
        return half.workers.submit(half.snapshot, doing, work).result()

    def _rows(self, half: Half, query: sql.Composed) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = self._on(half, lambda link: fetch_all(link, query))
        return rows

    def _read_facts(self, connection: Connection) -> _Facts:
        relation = self.target.statements.relation
        rows = fetch_all(connection, _COLUMNS, [relation.schema, relation.relname])
        return _Facts(
            frozenset(row[0] for row in rows if row[1]),
            frozenset(row[0] for row in rows if row[2]),
            frozenset(row[0] for row in rows if row[3]),
        )

    def _table(self) -> sql.Composable:
        return self.target.statements.relation.identifier

    def _name(self) -> sql.Identifier:
        relation = self.target.statements.relation
        return sql.Identifier(relation.schema, relation.relname)

    def _write(self, section: Section, statement: str) -> None:
        with (self.folder / section).open("a", encoding="utf-8", newline="\n") as file:
            file.write(statement + "\n")

    def _keyed(self, suspects: list[Suspect], facts: _Facts) -> None:
        for suspect in suspects:
            if suspect.kind == "extra":
                self._delete("deletes", suspect.key)
                self.counts.deletes += 1
        changed = [suspect.key for suspect in suspects if suspect.kind == "changed"]
        different = self._different(changed)
        wanted = [suspect.key for suspect in suspects if suspect.kind != "extra"]
        source, target = self.source.statements, self.target.statements
        columns = [
            name
            for name in both_have(source.relation, target.relation)
            if name not in facts.generated
        ]
        if not wanted:
            return
        kept = self._not_compared(changed, columns)

        def write(connection: Connection) -> None:
            query = source.values(wanted, columns)
            for found, row in self.source.side.stream(connection, "mend", query, batch=_BATCH):
                key = tuple(found)
                values = dict(zip(columns, row, strict=True)) | kept.get(key, {})
                self._row(key, values, different.get(key), facts)

        self._on(self.source, write)

    def _not_compared(
        self, keys: list[Key], columns: list[str]
    ) -> dict[Key, dict[str, str | None]]:
        """What the target has of some rows in columns that are not compared: it stays."""
        compared = {name for name, _ in self.source.statements.forms}
        others = [name for name in columns if name not in compared]
        if not (keys and others):
            return {}
        found = self._rows(self.target, self.target.statements.values(keys, others))
        return {tuple(key): dict(zip(others, row, strict=True)) for key, row in found}

    def _different(self, keys: list[Key]) -> dict[Key, set[str]]:
        """For each changed row the columns that differ."""
        if not keys:
            return {}
        ours, theirs = (
            {
                tuple(row[0]): row[3]
                for row in self._rows(half, half.statements.states(keys, columns=True))
            }
            for half in (self.source, self.target)
        )
        columns = [name for name, _ in self.source.statements.forms]
        return {
            key: {
                name
                for name, here, there in zip(columns, hashes, theirs[key], strict=True)
                if here != there
            }
            for key, hashes in ours.items()
        }

    def _row(
        self, key: Key, row: dict[str, str | None], different: set[str] | None, facts: _Facts
    ) -> None:
        """Write one row that is missing (`different` is None) or changed."""
        if different is None:
            self._insert("inserts", key, row)
            self.counts.inserts += 1
            return
        writable = sorted(different - facts.generated)
        if not writable:
            # The row is as it must be, and yet a generated column is not: expressions differ.
            self.counts.unmended += 1
            return
        self.counts.updates += 1
        if different & (facts.unique | facts.fixed):
            self._delete("gone", key)
            self._insert("again", key, row)
            return
        assignments = sql.SQL(", ").join(
            sql.SQL("{} = {}").format(sql.Identifier(name), literal(row[name])) for name in writable
        )
        self._write(
            "updates",
            line("UPDATE {table} SET {assignments} WHERE {key}", table=self._table(),
                 assignments=assignments, key=equal(self.source.statements.key, key)),
        )  # fmt: skip

    def _delete(self, section: Section, key: Key) -> None:
        condition = equal(self.target.statements.key, key)
        statement = line("DELETE FROM {table} WHERE {key}", table=self._table(), key=condition)
        self._write(section, statement)

    def _insert(self, section: Section, key: Key, row: dict[str, str | None]) -> None:
        """Insert a row unless one of its key is there."""
        self._write(
            section,
            line("INSERT INTO {name} ({columns}) OVERRIDING SYSTEM VALUE SELECT {values}"
                 " WHERE NOT EXISTS (SELECT FROM {table} WHERE {key})",
                 name=self._name(), columns=names(row), values=values(row.values()),
                 table=self._table(), key=equal(self.source.statements.key, key)),
        )  # fmt: skip

    def _counted(self, suspects: list[Suspect], facts: _Facts) -> None:
        """Rows without a key: each statement says how many of a row there have to be."""
        columns = [name for name, _ in self.source.statements.forms if name not in facts.generated]
        found: dict[int, tuple[int, list[str | None]]] = {}
        for half in (self.target, self.source):
            query = half.statements.copies([suspect.place for suspect in suspects], columns)
            found.update({place: (count, row) for place, count, row in self._rows(half, query)})
            if half is self.target:
                found = {place: (0, row) for place, (_, row) in found.items()}
        for suspect in suspects:
            count, row = found[suspect.place]
            for statement in self._copies(suspect, columns, row, count):
                self._write("deletes" if suspect.kind == "extra" else "inserts", statement)

    def _copies(
        self, suspect: Suspect, columns: list[str], row: list[str | None], count: int
    ) -> Iterator[str]:
        alike = sql.SQL("ROW({})::text = {}").format(names(columns), _record(row))
        there = sql.SQL("(SELECT count(*) FROM {} WHERE {})").format(self._table(), alike)
        parts = {"table": self._table(), "there": there, "count": sql.Literal(count)}
        if suspect.kind == "extra":
            self.counts.deletes += suspect.count
            yield line(
                "DELETE FROM {table} WHERE (tableoid, ctid) IN (SELECT tableoid, ctid FROM {table}"
                " WHERE {alike} LIMIT greatest(0, {there} - {count}))",
                **parts, alike=alike,
            )  # fmt: skip
            return
        self.counts.inserts += suspect.count
        into = sql.SQL("({}) OVERRIDING SYSTEM VALUE ").format(names(columns))
        yield line(
            "INSERT INTO {name} {into}SELECT {values} FROM generate_series(1, {count} - {there})",
            **parts, name=self._name(), into=into if columns else sql.SQL(""), values=values(row),
        )  # fmt: skip


def _record(row: list[str | None]) -> sql.SQL:
    """A row as record_out writes it."""
    return literal("(" + ",".join(_field(value) for value in row) + ")")


def _field(value: str | None) -> str:
    if value is None:
        return ""
    plain = value and not set(value) & set('"\\(), \t\n\r\v\f')
    if plain:
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '""') + '"'
