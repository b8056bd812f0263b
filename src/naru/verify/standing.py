"""Whether a table has stood still since it was compared: what is observed, and the decision.

A table has stood still on one side if it is made of the same files and columns, and either the
whole server has written nothing (its position is the same), or the server has counted no
row of it as inserted, updated or deleted. What is compared is observed before the snapshot
that a comparison reads, so that a change after that snapshot is always seen as one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from psycopg import sql

from naru.postgres import Connection, fetch_all, fetch_one
from naru.verify.relations import query
from naru.verify.side import Side


@dataclass(frozen=True)
class ServerFacts:
    """One server at a moment.

    `terms` is what else may change how a value reads: version, encoding, labels of enums,
    extensions. `doubt` says why its counts of changes are not to be believed, if so; what
    was committed before `counted` (seconds since the epoch) is in its counts. `resets`
    changes when counts begin anew, as they do after a crash.
    """

    identity: str
    terms: str
    position: str
    resets: str
    counted: float
    doubt: str | None = None


@dataclass(frozen=True)
class TableFacts:
    """One table at a moment: a hash of what it is made of, and one of its counted changes."""

    definition: str
    changes: str


@dataclass(frozen=True)
class Standing:
    """One table of one side at a moment, as it is kept."""

    server: ServerFacts
    table: TableFacts

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, shape: dict[str, Any]) -> Standing:
        return cls(ServerFacts(**shape["server"]), TableFacts(**shape["table"]))


def stood_still(before: Standing, now: Standing) -> bool:
    """True if nothing can have changed what is in the table since `before`.

    Up to what was committed by `now.server.counted`, where only counts say so.
    """
    ours, theirs = before.server, now.server
    if (ours.identity, ours.terms) != (theirs.identity, theirs.terms):
        return False
    if before.table.definition != now.table.definition:
        return False
    if ours.resets != theirs.resets:
        return False
    if ours.position == theirs.position:
        return True
    believed = ours.doubt is None and theirs.doubt is None
    return believed and before.table.changes == now.table.changes


@dataclass(frozen=True)
class Listed:
    """A table of one side: its oid, its relkind, about how many rows it has."""

    oid: int
    kind: str
    estimate: int
    facts: TableFacts


def observe_server(side: Side, connection: Connection) -> ServerFacts:
    """Which server this is, and how far its counts go."""
    with side.explained("reading which server it is"):
        found = fetch_one(connection, query("server.sql"))
    system, database, terms, position, doubt, resets, counted = found
    return ServerFacts(f"{system}/{database}", terms, position, resets, counted, doubt)


def list_tables(
    side: Side, connection: Connection, oids: Sequence[int] | None = None
) -> Iterator[tuple[str, Listed]]:
    """All tables of a side, or those of some oids, in the order of their names' bytes."""
    statement = sql.SQL("SELECT * FROM ({}) AS found (name, oid, kind, rows, made, counts)").format(
        query("standing.sql")
    )
    if oids is not None:
        chosen = sql.SQL(" WHERE oid = ANY({}::int8[])").format(sql.Literal(list(oids)))
        statement += chosen
    with side.explained("looking for tables"):
        rows = fetch_all(connection, statement)
    for name, oid, kind, estimate, made, counts in sorted(rows, key=lambda row: row[0].encode()):
        yield name, Listed(oid, kind, estimate or 0, TableFacts(_short(made), _short(counts)))


def _short(text: str | None) -> str:
    return hashlib.sha256((text or "").encode()).hexdigest()[:32]
