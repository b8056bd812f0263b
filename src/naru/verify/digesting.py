"""Taking the digest of a database: every table counted or hashed by a few workers."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing

from naru.errors import ServerError
from naru.postgres import Connection, Dsn, fetch_value
from naru.system import SILENT, Observer
from naru.verify.descent import Grain
from naru.verify.digest import Digest, LargeObjectDigest, TableDigest
from naru.verify.hashing import Agreement, SelfTest, self_test
from naru.verify.large_objects import digest_large_objects
from naru.verify.relations import Part, Relation, Types, relations
from naru.verify.side import Side, Workers
from naru.verify.statements import Statements
from naru.verify.types import Form, TypeFacts, form_of

Columns = tuple[tuple[str, str, Form], ...]


def take_digest(
    dsn: Dsn,
    *,
    snapshot: str | None = None,
    hashes: bool = False,
    like: Digest | None = None,
    jobs: int = 2,
    observer: Observer = SILENT,
) -> Digest:
    """Count the rows of every table, and hash them if asked. Reads only.

    With `like` hashes are made as there, where this server can: what it cannot hash alike
    has none. Raises ServerError when the server has no hash at all.
    """
    with closing(Side("database", dsn, snapshot)) as side:
        return _Taking(side, hashes or bool(like and like.test), like, jobs, observer).digest()


class _Taking:
    def __init__(
        self, side: Side, hashes: bool, like: Digest | None, jobs: int, observer: Observer
    ) -> None:
        self._side, self._like, self._observer = side, like, observer
        self._connection = side.connect()
        self._encoding = str(fetch_value(self._connection, "SHOW server_encoding"))
        self._test = self._tested() if hashes else None
        self._agreement = self._agreed()
        self._workers = Workers(side, jobs)

    def _tested(self) -> SelfTest | None:
        known = self._like.test if self._like else None
        test = self_test(self._side, self._connection, known.method if known else None)
        if test is None and known is None:
            raise ServerError(f"{self._side.dsn}: this server has no hash of rows")
        return test

    def _agreed(self) -> Agreement | None:
        if self._test is None:
            return None
        if self._like is None or self._like.test is None:
            return self._test.agreement(self._test)
        if self._like.encoding != self._encoding:
            return None
        return self._test.agreement(self._like.test)

    def digest(self) -> Digest:
        try:
            with self._side.reading(self._connection, "reading tables"):
                large = self._large_objects()
                tables = list(relations(self._side, self._connection, Types(self._connection)))
            return Digest(self._encoding, dict(self._tables(tables)), large, self._test)
        except BaseException:
            self._side.stop()
            raise
        finally:
            self._workers.shutdown()

    def _large_objects(self) -> LargeObjectDigest:
        count = "SELECT pg_catalog.count(*) FROM pg_catalog.pg_largeobject_metadata"
        if self._agreement is not None:
            may = "SELECT has_table_privilege('pg_catalog.pg_largeobject', 'SELECT')"
            if fetch_value(self._connection, may):
                found = digest_large_objects(self._side, self._connection, self._agreement)
                return LargeObjectDigest(*found)
        return LargeObjectDigest(int(fetch_value(self._connection, count)))

    def _tables(self, tables: list[tuple[str, Relation]]) -> Iterator[tuple[str, TableDigest]]:
        """All parts of all tables are read by the workers; sums are added up here."""
        begun = [(name, one, self._begin(name, one)) for name, one in tables if one.kind != "m"]
        total = max(1, sum(one.estimate for _, one, _ in begun))
        done = 0
        for name, relation, (columns, futures) in begun:
            parts = [future.result() for future in futures]
            rows = sum(count for count, _ in parts)
            hashed = str(sum(total for _, total in parts)) if columns is not None else None
            done += relation.estimate
            self._observer.progress("rows of tables read", done, total, "rows", detail=name)
            yield name, TableDigest(rows, hashed, columns or ())

    def _begin(
        self, name: str, relation: Relation
    ) -> tuple[Columns | None, list[Future[tuple[int, int]]]]:
        agreement = self._agreement
        columns = self._columns(name, relation, agreement) if agreement else None
        forms = tuple((column, form) for column, _, form in columns or ())
        # A key would only split what is summed here.
        plain = agreement or Agreement("md5", frozenset(), True)
        statements = Statements(relation, forms, (), plain)

        def read(part: Part) -> Future[tuple[int, int]]:
            def work(connection: Connection) -> tuple[int, int]:
                if columns is None:
                    return int(fetch_value(connection, statements.count(part))), 0
                found = connection.execute(statements.totals(part, Grain(0), None)).fetchone()
                return (found[1], int(found[2])) if found else (0, 0)

            return self._workers.submit(self._side.snapshot, f"reading {name}", work)

        by_page = self._connection.info.server_version >= 140000
        return columns, [read(part) for part in relation.parts(by_page)]

    def _columns(self, name: str, relation: Relation, agreement: Agreement) -> Columns | None:
        """Each column with its form; None if the one to compare with cannot be had here."""
        mine = tuple(
            (column.name, _named(column.type), form_of(column.type, agreement.trusted))
            for column in relation.columns
        )
        if self._like is None:
            return mine
        wanted = self._like.tables.get(name)
        if wanted is None or set(wanted.columns) != set(mine):
            return None
        return wanted.columns


def _named(type_: TypeFacts) -> str:
    """A type by name, with what it stands on: `public.mood`, `pg_catalog._int4(…)`."""
    inner = f"({_named(type_.inner)})" if type_.inner else ""
    return f"{type_.schema}.{type_.name}{inner}"
