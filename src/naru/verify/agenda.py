"""Which tables a run compares, in which order, and which it need not read again."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

from naru.postgres import Connection
from naru.verify.hashing import FORMULA, Agreement
from naru.verify.ledger import Earlier, Ledger
from naru.verify.memory import Memory
from naru.verify.merging import merge
from naru.verify.options import Options
from naru.verify.relations import Relation, Types, relations
from naru.verify.side import Side
from naru.verify.standing import (
    Listed,
    ServerFacts,
    Standing,
    list_tables,
    observe_server,
    stood_still,
)
from naru.verify.verdict import TableVerdict

_AT_ONCE = 100
_FORM = 1
"""Raised when rows are hashed in another way, so that earlier results no longer count."""


@dataclass(frozen=True)
class Entry:
    """A table that is on the agenda: where it is on both sides, None where it is not."""

    name: str
    source: Listed | None
    target: Listed | None
    compared_at: float | None = None

    @property
    def estimate(self) -> int:
        return self.source.estimate if self.source else 0


@dataclass(frozen=True)
class Item:
    """A table to be compared now. `standings` are how it stood before, both sides."""

    entry: Entry
    source: Relation | None
    target: Relation | None
    standings: tuple[Standing, Standing] | None = None


def may_be_kept(
    earlier: Earlier, terms: str, now: tuple[Standing, Standing], options: Options,
    run: int, clock: float,
) -> bool:  # fmt: skip
    """True if an earlier result still holds: equal then, by the same terms, and still since.

    On `resume` only results of the run that goes on count; on `again` all that are not too old.
    """
    if options.again:
        oldest = options.recheck_seconds
        if oldest is not None and clock - earlier.at >= oldest:
            return False
    elif not (options.resume and earlier.run == run):
        return False
    if not earlier.same or earlier.terms != terms:
        return False
    return stood_still(earlier.source, now[0]) and stood_still(earlier.target, now[1])


class Agenda:
    """Made at the beginning of a run; knows every table by name, and details of a few."""

    def __init__(
        self,
        sides: tuple[Side, Side],
        connections: tuple[Connection, Connection],
        agreement: Agreement,
        options: Options,
        ledger: Ledger | None,
    ) -> None:
        self._sides = sides
        self._connections = connections
        self._options = options
        self._ledger = ledger
        self._types = tuple(Types(connection) for connection in connections)
        self.kept: list[TableVerdict] = []
        self.resumed = False
        self.servers: tuple[ServerFacts, ServerFacts] | None = None
        if ledger:
            self.servers = self._servers()
            pair = " ".join(server.identity for server in self.servers)
            self.resumed = ledger.begin(pair, resume=options.resume)
            self._terms = _terms(agreement, options, self.servers)
        self.entries = self._entries()

    @property
    def rows(self) -> int:
        """About how many rows there are to be compared."""
        return sum(entry.estimate for entry in self.entries)

    @property
    def still_until(self) -> float | None:
        """The moment up to which nothing is known to have changed in tables that are kept."""
        return min(server.counted for server in self.servers) if self.servers else None

    def said(self) -> Iterator[str]:
        """What people should know of it before it begins."""
        if self._options.resume and not self.resumed:
            yield "no comparison of these two was stopped half-way: this one begins anew"
        if self.kept:
            yield f"{len(self.kept):,} tables have not changed since they were compared"
        for server, name in zip(self.servers or (), ("source", "target"), strict=False):
            if server.doubt and (self._options.again or self._options.resume):
                yield (
                    f"whether tables of the {name} have changed cannot be told unless nothing"
                    f" at all was written there: {server.doubt}"
                )

    def items(self) -> Iterator[Item]:
        """Every table to be compared, with its details; a few are read at a time."""
        rest = iter(self.entries)
        while chunk := list(islice(rest, _AT_ONCE)):
            standings = self._standings(chunk) if self._ledger else {}
            details = [self._details(number, chunk) for number in range(2)]
            for entry in chunk:
                source, target = (found.get(entry.name) for found in details)
                yield Item(entry, source, target, standings.get(entry.name))

    def memories(self, item: Item) -> tuple[Memory, ...]:
        """What is remembered of both sides while a table is read; empty without a ledger."""
        if self._ledger is None or item.standings is None:
            return ()
        sides = zip(self._sides, item.standings, strict=True)
        return tuple(self._memory(self._ledger, item.entry.name, *side) for side in sides)

    def _memory(self, ledger: Ledger, table: str, side: Side, now: Standing) -> Memory:
        goes_on = self._options.resume or self._options.again
        before = ledger.half(table, side.name, self._terms) if goes_on else None
        if before and not stood_still(before.standing, now):
            before = None
        save = partial(ledger.keep_half, table, side.name, self._terms)
        return Memory(now, before, save)

    def note(self, verdict: TableVerdict, memories: Sequence[Memory]) -> None:
        """Keep a result for later runs, as of when reading began on each side."""
        if self._ledger and memories and not verdict.reason:
            source, target = (memory.standing for memory in memories)
            self._ledger.note(verdict, self._terms, source, target)

    def end(self) -> None:
        """The run has come to its end."""
        if self._ledger:
            self._ledger.end()

    def _servers(self) -> tuple[ServerFacts, ServerFacts]:
        source, target = (
            observe_server(side, connection)
            for side, connection in zip(self._sides, self._connections, strict=True)
        )
        return source, target

    def _entries(self) -> list[Entry]:
        streams = [
            list_tables(side, connection)
            for side, connection in zip(self._sides, self._connections, strict=True)
        ]
        entries = []
        for name, source, target in merge(*streams):
            is_view = "m" in {source.kind if source else "", target.kind if target else ""}
            if not self._options.covers(name):
                continue
            if is_view and not self._options.materialized_rows:
                continue
            earlier = self._ledger.earlier(name) if self._ledger else None
            if earlier and self._keeps(earlier, source, target):
                self.kept.append(earlier.verdict)
            else:
                entries.append(Entry(name, source, target, earlier.at if earlier else None))
        if self._options.again or self._options.at_most_seconds is not None:
            entries.sort(key=lambda entry: entry.compared_at or 0.0)
        return entries

    def _keeps(self, earlier: Earlier, source: Listed | None, target: Listed | None) -> bool:
        if source is None or target is None or self.servers is None or self._ledger is None:
            return False
        now = (Standing(self.servers[0], source.facts), Standing(self.servers[1], target.facts))
        return may_be_kept(earlier, self._terms, now, self._options, self._ledger.run, time.time())

    def _standings(self, chunk: list[Entry]) -> dict[str, tuple[Standing, Standing]]:
        """How tables stand now, before any snapshot is taken to compare them."""
        servers = self._servers()
        found = []
        for number, (side, connection) in enumerate(
            zip(self._sides, self._connections, strict=True)
        ):
            tables = list_tables(side, connection, _oids(number, chunk))
            found.append({name: Standing(servers[number], one.facts) for name, one in tables})
        return {name: (found[0][name], found[1][name]) for name in found[0].keys() & found[1]}

    def _details(self, number: int, chunk: list[Entry]) -> dict[str, Relation]:
        side, connection = self._sides[number], self._connections[number]
        return dict(relations(side, connection, self._types[number], _oids(number, chunk)))


def _oids(number: int, chunk: list[Entry]) -> list[int]:
    listed = ((entry.source, entry.target)[number] for entry in chunk)
    return [one.oid for one in listed if one]


def _terms(agreement: Agreement, options: Options, servers: tuple[ServerFacts, ServerFacts]) -> str:
    """What an earlier result must have been found by, to be kept."""
    parts = [
        _FORM, agreement.method, sorted(agreement.trusted), agreement.same_encoding,
        [[rule.columns, str(rule)] for rule in options.equal.rules],
        sorted(options.except_columns), options.live, FORMULA, [server.terms for server in servers],
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]
