"""The repair: a script that makes the target like the source, from what a comparison finds."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from psycopg import sql

from naru.errors import UsageError
from naru.postgres import Connection
from naru.verify.half import Half
from naru.verify.large_repair import large_object_statements
from naru.verify.mending import SECTIONS, Counts, Section, TableMending
from naru.verify.relations import both_have
from naru.verify.script import (
    batches,
    children_first,
    line,
    literal,
    on_one_line,
    read,
    together,
)
from naru.verify.side import Side
from naru.verify.statements import Statements
from naru.verify.verdict import LargeObjectDifference, Verdict

MOST_LARGE_OBJECTS = 1_000_000

_HEADER = """\
-- Makes the rows, sequences and large objects of the target like the source's.
-- Written by naru verify. It holds data of the source: keep it as you keep a dump.
--
-- source: {source}
-- target: {target}
{plan}
--
-- Apply it while nobody writes on either side:  psql -X -f FILE
-- It can be applied again: a statement whose work is done changes nothing.
-- Triggers, rules and foreign keys are off while it runs (session_replication_role), which
-- needs a superuser: the rows are taken as the source has them, with what triggers did there.
"""
_SETTINGS = r"""
\set ON_ERROR_STOP on
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SET session_replication_role = replica;
SET search_path = '';
SET row_security = off;
SET statement_timeout = 0;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SET intervalstyle = 'postgres';
SET extra_float_digits = 3;
SET bytea_output = 'hex';
SET xmlbinary = 'base64';
SET xmloption = 'content';
SET lc_monetary = 'C';
"""
_REFERENCES = sql.SQL("""
SELECT format('%I.%I', n.nspname, c.relname), format('%I.%I', m.nspname, p.relname)
  FROM pg_constraint k
  JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_class p ON p.oid = k.confrelid JOIN pg_namespace m ON m.oid = p.relnamespace
 WHERE k.contype = 'f' AND p.oid <> c.oid
""")


@dataclass(frozen=True)
class RepairPlan:
    """What a script does; `left` names differences that it does not mend, and why."""

    script: Path
    tables: dict[str, Counts]
    sequences: int
    large_objects: int
    views: int
    """Materialized views to be refreshed."""
    left: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        return not (self.tables or self.sequences or self.large_objects or self.views)

    def to_json(self) -> dict[str, Any]:
        return {
            "script": str(self.script),
            "tables": {name: vars(counts) for name, counts in self.tables.items()},
            "sequences": self.sequences,
            "large_objects": self.large_objects,
            "views": self.views,
            "left": list(self.left),
        }

    def lines(self) -> Iterator[str]:
        """The plan as people read it."""
        for name, counts in self.tables.items():
            yield (
                f"table {name}: {counts.deletes:,} rows to delete, {counts.updates:,} to change,"
                f" {counts.inserts:,} to insert"
            )
        if self.sequences:
            yield f"sequences: {self.sequences:,} to set"
        if self.large_objects:
            yield f"large objects: {self.large_objects:,} to mend"
        if self.views:
            yield f"materialized views: {self.views:,} to refresh"
        for one in self.left:
            yield f"not mended: {one}"


@dataclass
class Repair:
    """Given to a comparison, writes `script` (mode 0600); afterwards `plan` says what it does.

    Rows go to files beside it at once, so that memory stays flat. Raises UsageError if the
    folder cannot be written.
    """

    script: Path
    plan: RepairPlan | None = None
    large_objects: tuple[LargeObjectDifference, ...] = ()
    _tables: dict[str, TableMending] = field(default_factory=dict)
    _views: list[str] = field(default_factory=list)
    _passed_over: dict[str, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _parts: Path | None = None

    def table(self, source: Half, target: Half) -> TableMending | None:
        """What takes the differing rows of a table; None for what no statement on rows mends."""
        name = target.statements.relation.name
        with self._lock:
            if target.statements.relation.kind == "m":
                self._views.append(name)
                return None
            if reason := _unmendable(source.statements, target.statements):
                self._passed_over[name] = reason
                return None
            folder = self._folder() / str(len(self._tables))
            folder.mkdir()
            self._tables[name] = TableMending(source, target, folder)
            return self._tables[name]

    def write(
        self, sides: tuple[Side, Side], connections: tuple[Connection, Connection], verdict: Verdict
    ) -> None:
        """Put the script together; needs an open transaction on both connections."""
        tables = {name: found.counts for name, found in sorted(self._tables.items())}
        sequences = list(_sequences(verdict))
        self.plan = RepairPlan(
            self.script, tables, len(sequences), len(self.large_objects),
            len(self._views), tuple(_left(verdict, self._tables, self._passed_over)),
        )  # fmt: skip
        draft = self._folder() / "script"
        try:
            draft.touch(mode=0o600)
            with draft.open("w", encoding="utf-8", newline="\n") as file:
                plan = "\n".join(f"-- {on_one_line(one)}" for one in self.plan.lines())
                here, there = (on_one_line(str(side.dsn)) for side in sides)
                header = _HEADER.format(source=here, target=there, plan=plan)
                file.write(header + _SETTINGS)
                for statement in self._statements(sides, connections, sequences):
                    file.write(statement + "\n")
            draft.replace(self.script)
        finally:
            self.close()

    def close(self) -> None:
        """Remove what is not the script; harmless when called again."""
        if self._parts:
            shutil.rmtree(self._parts, ignore_errors=True)

    def _folder(self) -> Path:
        if self._parts is None:
            try:
                made = tempfile.mkdtemp(prefix=f".{self.script.name}.", dir=self.script.parent)
            except OSError as error:
                raise UsageError(f"cannot write {self.script}: {error.strerror}") from error
            self._parts = Path(made)
        return self._parts

    def _statements(
        self,
        sides: tuple[Side, Side],
        connections: tuple[Connection, Connection],
        sequences: list[str],
    ) -> Iterator[str]:
        order = children_first(list(self._tables), self._references(sides[1], connections[1]))
        yield from batches(one for table in order for one in self._section(table, "deletes"))
        for table in reversed(order):
            yield from batches(self._section(table, "updates"))
            replaced: tuple[Section, Section] = ("gone", "again")
            yield from together(one for part in replaced for one in self._section(table, part))
            yield from batches(self._section(table, "inserts"))
        yield from (f"REFRESH MATERIALIZED VIEW {view};" for view in sorted(self._views))
        yield from batches(sequences)
        for difference in self.large_objects:
            yield from together(large_object_statements(sides, connections, difference))

    def _section(self, table: str, section: Section) -> Iterable[str]:
        assert section in SECTIONS
        return read(self._tables[table].folder / section)

    def _references(self, side: Side, connection: Connection) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for child, parent in side.stream(connection, "references", _REFERENCES):
            if child in self._tables and parent in self._tables:
                found.setdefault(child, set()).add(parent)
        return found


def _sequences(verdict: Verdict) -> Iterator[str]:
    for one in verdict.sequences:
        if one.source and one.target:
            yield line(
                "SELECT pg_catalog.setval({name}, {value}, {called})",
                name=literal(one.sequence),
                value=sql.Literal(one.source.last_value),
                called=sql.SQL("true" if one.source.is_called else "false"),
            )


def _unmendable(source: Statements, target: Statements) -> str | None:
    """Why no statement can tell the rows of a table that differ from those that do not."""
    if source.key:
        return None
    if any(source.rules.values()):
        return "its rows have no key that counts under --equal"
    if len(source.forms) < len(both_have(source.relation, target.relation)):
        return "its rows have no key, and --except-column leaves out some of their values"
    return None


def _left(
    verdict: Verdict, tables: dict[str, TableMending], passed_over: dict[str, str]
) -> Iterator[str]:
    if verdict.schema:
        yield f"{len(verdict.schema):,} differences of the schema: mend them first"
    for table in verdict.tables:
        if reason := table.reason or passed_over.get(table.table):
            yield f"table {table.table}: {reason}"
        unmended = tables[table.table].counts.unmended if table.table in tables else 0
        if unmended:
            yield f"table {table.table}: {unmended:,} rows differ in generated columns only"
    for one in verdict.sequences:
        if one.source is None or one.target is None:
            yield f"sequence {one.sequence}: only one side has it"
    if verdict.large_objects.reason:
        yield f"large objects: {verdict.large_objects.reason}"
    if verdict.large_objects.found > MOST_LARGE_OBJECTS:
        yield f"large objects beyond the first {MOST_LARGE_OBJECTS:,}: compare again afterwards"
