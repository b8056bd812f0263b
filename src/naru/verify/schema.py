"""Comparing what the catalogs hold: object by object, streamed from both sides and merged."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import resources

from psycopg import sql

from naru.postgres import Connection
from naru.verify.merging import merge
from naru.verify.normal import Doc, alike, normal_grants, shown, summary
from naru.verify.options import Options
from naru.verify.relations import query
from naru.verify.remedies import remedy
from naru.verify.side import Side
from naru.verify.verdict import SchemaDifference

_ORDERED = (
    "SELECT object, relation, doc FROM ({}) AS found (object, relation, doc)"
    " ORDER BY pg_catalog.convert_to(object, 'UTF8'), doc"
)
_NOTES = {
    ("extension", "version"), ("role", None), ("database", "encoding"), ("database", "collate"),
    ("database", "character type"), ("database", "locale provider"), ("database", "locale"),
    ("database", "connection limit"), ("database", "may connect"), ("database", "tablespace"),
    ("table", "tablespace"), ("view", "tablespace"), ("index", "tablespace"),
    ("publication", None),
}  # fmt: skip

_BATCH = 500
Entry = tuple[str | None, str]


def kinds() -> list[str]:
    """The catalogs that are compared, tables before what hangs on them."""
    return sorted(name for name in _files() if name.count(".") == 1)


def _files() -> set[str]:
    folder = resources.files("naru.verify").joinpath("catalog")
    return {file.name for file in folder.iterdir() if file.name.endswith(".sql")}


def file_for(kind: str, version: int) -> str:
    """The query on one catalog: `NAME.15.sql` on a server of 15 or newer, else `NAME.sql`."""
    stem = kind.removesuffix(".sql")
    since = [int(name.split(".")[1]) for name in _files()
             if name.startswith(f"{stem}.") and name.count(".") == 2]  # fmt: skip
    fitting = max((major for major in since if version >= major * 10_000), default=None)
    return kind if fitting is None else f"{stem}.{fitting}.sql"


class SchemaComparison:
    """Streams differences; those that may be (extension versions, locale) are told apart."""

    def __init__(
        self,
        sides: tuple[Side, Side],
        connections: tuple[Connection, Connection],
        options: Options,
    ) -> None:
        self._sides = sides
        self._connections = connections
        self._options = options
        self._versions = (
            connections[0].info.server_version,
            connections[1].info.server_version,
        )
        self._lone: set[str] = set()

    def differences(self) -> Iterator[SchemaDifference]:
        """Every difference, kind by kind; needs an open transaction on both connections."""
        for file in kinds():
            kind = file.partition("_")[2].removesuffix(".sql").replace("_", " ")
            with ExitStack() as stack:
                ours, theirs = (
                    stack.enter_context(self._entries(side, connection, file, kind))
                    for side, connection in zip(self._sides, self._connections, strict=True)
                )
                for name, source, target in merge(ours, theirs):
                    yield from self._compare(kind, name, source, target)

    @contextmanager
    def _entries(
        self, side: Side, connection: Connection, file: str, kind: str
    ) -> Iterator[Iterator[tuple[str, Entry]]]:
        """What one side has of one catalog; both sides read at the same time."""
        chosen_file = file_for(file, connection.info.server_version)
        statement = sql.SQL(_ORDERED).format(query(f"catalog/{chosen_file}"))
        doing = f"reading the schema ({kind})"
        with side.ahead(connection, "schema", statement, doing=doing, batch=_BATCH) as batches:
            yield (
                (name, (relation, doc))
                for rows in batches
                for name, relation, doc in rows
                if (self._options.covers(relation) if relation else not self._options.tables)
            )

    def _compare(
        self, kind: str, name: str, source: Entry | None, target: Entry | None
    ) -> Iterator[SchemaDifference]:
        if source is not None and target is not None:
            if source[1] != target[1]:
                yield from self._attributes(kind, name, source, target)
            return
        entry = source or target
        if entry is None or (entry[0] in self._lone and entry[0] != name):
            return
        if entry[0] == name:
            self._lone.add(name)
        text = summary(_doc(entry))
        yield SchemaDifference(
            name,
            kind,
            "object",
            text if source else None,
            text if target else None,
            self._remedy(kind, name, "object", source, target),
        )

    def _attributes(
        self, kind: str, name: str, source: Entry, target: Entry
    ) -> Iterator[SchemaDifference]:
        here, there = (normal_grants(_doc(entry), self._versions) for entry in (source, target))
        for attribute in sorted(here.keys() | there.keys()):
            ours, theirs = here.get(attribute), there.get(attribute)
            if not alike(attribute, ours, theirs, self._versions):
                mend = self._remedy(kind, name, attribute, source, target)
                yield SchemaDifference(name, kind, attribute, shown(ours), shown(theirs), mend)

    def _remedy(
        self, kind: str, name: str, attribute: str, source: Entry | None, target: Entry | None
    ) -> str | None:
        entry = source or target
        database = self._connections[1].info.dbname
        ours, theirs = (_doc(one) if one else None for one in (source, target))
        relation = entry[0] if entry else None
        return remedy(kind, name, relation, attribute, ours, theirs, database)


def is_note(difference: SchemaDifference) -> bool:
    """True for what may differ between two databases that are the same."""
    return bool(_NOTES & {(difference.kind, difference.attribute), (difference.kind, None)})


def _doc(entry: Entry) -> Doc:
    doc: Doc = json.loads(entry[1])
    return doc
