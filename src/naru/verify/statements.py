"""The queries about one table on one side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from psycopg import sql

from naru.verify.alone import Field, field_of
from naru.verify.descent import Grain
from naru.verify.equality import Rule, loosen
from naru.verify.hashing import Agreement, plain_hash, row_hash
from naru.verify.relations import Part, Relation
from naru.verify.types import Form, TypeFacts, as_text

Key = tuple[str, ...]
_VALUE_LENGTH = 200
_SHORT_LIST = 32


@dataclass(frozen=True)
class Statements:
    """`forms` are the columns both sides have, in the source's order; `key` may be empty.

    `numbered`: the key is one whole number on both sides. `rules` are those that loosen the
    comparison of a column; a column that is part of the key stays unique under them.
    `required` are columns that hold no NULL on either side, so both sides say.
    """

    relation: Relation
    forms: tuple[tuple[str, Form], ...]
    key: tuple[str, ...]
    agreement: Agreement
    numbered: bool = False
    rules: Mapping[str, tuple[Rule, ...]] = field(default_factory=dict)
    required: frozenset[str] = frozenset()

    def _loosened(self, name: str) -> tuple[sql.Composable, TypeFacts]:
        type_ = self.relation.column(name).type
        rules = self.rules.get(name, ())
        return loosen(sql.Identifier(name), type_, rules, self.agreement.method)

    def _field(self, name: str, form: Form) -> Field:
        value, type_ = self._loosened(name)
        found = field_of(value, type_, form, same_encoding=self.agreement.same_encoding)
        return replace(found, required=name in self.required)

    def _row(self) -> sql.Composed:
        return row_hash(self.agreement.method, [self._field(*column) for column in self.forms])

    def _place(self) -> sql.Composed:
        """By what rows fall into buckets: a whole number that is the key, or a hash."""
        if not self.key:
            return self._row()
        if self.numbered:
            return sql.SQL("{}::pg_catalog.int8").format(sql.Identifier(self.key[0]))
        forms = dict(self.forms)
        fields = [self._field(name, forms[name]) for name in self.key]
        return row_hash(self.agreement.method, fields)

    def _within(self, within: Buckets | None, place: sql.Composable) -> sql.Composable:
        """The condition that a row's place falls into one of some buckets."""
        if within is None or len(within.wanted) == 1 << within.grain.bits:
            return sql.SQL("true")
        bucket = _bucket(sql.SQL("({})").format(place), within.grain)
        # Before 14 a list is searched from its beginning for each row, a subquery is hashed.
        listed = self.agreement.method == "record" or len(within.wanted) <= _SHORT_LIST
        one_of = "{} = ANY({})" if listed else "{} IN (SELECT pg_catalog.unnest({}))"
        return sql.SQL(one_of).format(bucket, _bigints(within.wanted))

    def key_texts(self) -> list[sql.Composable]:
        """The columns of the key as text."""
        return [as_text(*self._loosened(name)) for name in self.key]

    def totals(self, part: Part, grain: Grain, within: Buckets | None) -> sql.Composed:
        """Count and sum of hashes for each bucket of one part."""
        values = {"hash": self._row(), "relation": _leaf(part.relation), "pages": _pages(part)}
        if not self.key:
            place = sql.SQL("hash")
            return sql.SQL(
                "SELECT {bucket}, pg_catalog.count(*), pg_catalog.sum(hash)::text"
                " FROM (SELECT {hash} AS hash FROM {relation} WHERE {pages} OFFSET 0) AS rows"
                " WHERE {buckets} GROUP BY 1"
            ).format(
                **values,
                bucket=_bucket(place, grain),
                buckets=self._within(within, place),
            )
        # Rows outside of the buckets are passed over before they are hashed. What is grouped
        # by comes from within, so that the server reads the table for it without a step between.
        return sql.SQL(
            "SELECT bucket, pg_catalog.count(*), pg_catalog.sum(hash)::text"
            " FROM (SELECT {bucket} AS bucket, {hash} AS hash FROM {relation}"
            " WHERE {pages} AND {buckets} OFFSET 0) AS rows GROUP BY bucket"
        ).format(
            **values,
            bucket=_bucket(sql.SQL("({})").format(self._place()), grain),
            buckets=self._within(within, self._place()),
        )

    def count(self, part: Part) -> sql.Composed:
        """How many rows one part has."""
        return sql.SQL("SELECT pg_catalog.count(*) FROM {} WHERE {}").format(
            _leaf(part.relation), _pages(part)
        )

    def rows(self, within: Buckets, part: Part | None = None) -> sql.Composed:
        """Every row of some buckets: place, hash, key; in the order of places.

        Where the place is the key it is not given twice. Without a key: the row's hash, and how
        often it occurs. Of one `part`: in no order.
        """
        parts = {
            "row": self._row(),
            "relation": _leaf(part.relation) if part else self.relation.identifier,
            "pages": _pages(part) if part else sql.SQL("true"),
            "order": sql.SQL("" if part else "ORDER BY 1"),
        }
        if not self.key:
            return sql.SQL(
                "SELECT hash, pg_catalog.count(*) FROM (SELECT {row} AS hash FROM {relation}"
                " WHERE {pages} OFFSET 0) AS rows WHERE {buckets} GROUP BY hash {order}"
            ).format(**parts, buckets=self._within(within, sql.SQL("hash")))
        named = [self._place(), self._row(), *([] if self.numbered else self.key_texts())]
        return sql.SQL("SELECT {named} FROM {relation} WHERE {pages} AND {buckets} {order}").format(
            **parts,
            named=sql.SQL(", ").join(named),
            buckets=self._within(within, self._place()),
        )

    def span(self) -> sql.Composed:
        """The least and the greatest value of a key that is a whole number."""
        return sql.SQL(
            "SELECT pg_catalog.min({0})::int8, pg_catalog.max({0})::int8 FROM {1}"
        ).format(sql.Identifier(self.key[0]), self.relation.identifier)

    def numbered_rows(self, within: Buckets, low: int, high: int) -> sql.Composed:
        """What `rows` gives, in no order, found by all numbers of the buckets, by index."""
        return sql.SQL(
            "SELECT {place} AS place, {row} FROM {relation}"
            " WHERE {column} = ANY(ARRAY(SELECT run + n FROM pg_catalog.unnest({runs}) AS first,"
            " pg_catalog.generate_series(first, {high}, {step}) AS run,"
            " pg_catalog.generate_series(0, {last}) AS n))"
        ).format(
            place=self._place(),
            row=self._row(),
            relation=self.relation.identifier,
            column=sql.Identifier(self.key[0]),
            high=sql.Literal(high),
            step=sql.SQL("{}::int8").format(sql.Literal(within.step)),
            runs=_bigints(run for run in within.runs(low) if run <= high),
            last=sql.Literal((1 << within.grain.shift) - 1),
        )

    def states(self, keys: Sequence[Key], *, columns: bool) -> sql.Composed:
        """Of the rows with these keys: key, version, hash, and if asked each column's hash."""
        each = [row_hash(self.agreement.method, [self._field(*c)]) for c in self.forms]
        return sql.SQL(
            "SELECT ARRAY[{key}]::text[], looked_up.xmin::text, {row}, ARRAY[{columns}]::int8[]"
            " FROM {looked_up}"
        ).format(
            key=sql.SQL(", ").join(self.key_texts()),
            row=self._row(),
            columns=sql.SQL(", ").join(each if columns else []),
            looked_up=self.looked_up(keys),
        )

    def values(self, keys: Sequence[Key], columns: Sequence[str]) -> sql.Composed:
        """Of the rows with these keys: key, and these columns as text, whole."""
        return sql.SQL("SELECT ARRAY[{}]::text[], ARRAY[{}]::text[] FROM {}").format(
            sql.SQL(", ").join(self.key_texts()),
            sql.SQL(", ").join(self._texts(columns)),
            self.looked_up(keys),
        )

    def copies(self, hashes: Iterable[int], columns: Sequence[str]) -> sql.Composed:
        """Of the rows with these hashes: hash, how many, and these columns as text, whole."""
        return sql.SQL(
            "SELECT hash, pg_catalog.count(*), coalesce(pg_catalog.min(texts), '{{}}')"
            " FROM (SELECT {row} AS hash, ARRAY[{columns}]::text[] AS texts"
            " FROM {relation} OFFSET 0) AS rows WHERE hash = ANY({hashes}) GROUP BY hash"
        ).format(
            row=self._row(),
            columns=sql.SQL(", ").join(self._texts(columns)),
            relation=self.relation.identifier,
            hashes=_bigints(hashes),
        )

    def _texts(self, columns: Sequence[str]) -> list[sql.Composed]:
        return [as_text(sql.Identifier(name), self.relation.column(name).type) for name in columns]

    def looked_up(self, keys: Sequence[Key]) -> sql.Composed:
        """The table, of it only the rows with these keys."""
        names = [sql.Identifier(f"naru_wanted_{i}") for i in range(len(self.key))]
        equal = [
            sql.SQL("{} = {}").format(sql.Identifier(column), name)
            for column, name in zip(self.key, names, strict=True)
        ]
        return sql.SQL(
            "{relation} AS looked_up JOIN (VALUES {keys}) AS wanted ({names}) ON {equal}"
        ).format(
            relation=self.relation.identifier,
            keys=sql.SQL(", ").join(self._literal(key) for key in keys),
            names=sql.SQL(", ").join(names),
            equal=sql.SQL(" AND ").join(equal),
        )

    def _literal(self, key: Key) -> sql.Composed:
        types = (self.relation.column(name).sql_type for name in self.key)
        values = [
            sql.SQL("{}::").format(sql.Literal(value)) + sql.Composed([_type(type_)])
            for value, type_ in zip(key, types, strict=True)
        ]
        return sql.SQL("({})").format(sql.SQL(", ").join(values))

    def multiset(self, hashes: Iterable[int]) -> sql.Composed:
        """Of the rows with these hashes, in a table without key: hash, versions, how many,
        and one row's columns as text, cut short."""
        columns = [
            sql.SQL("pg_catalog.left({}, {})").format(
                as_text(sql.Identifier(name), self.relation.column(name).type),
                sql.Literal(_VALUE_LENGTH),
            )
            for name, _ in self.forms
        ]
        versions = plain_hash(self.agreement.method, [sql.SQL("version")])
        return sql.SQL(
            "SELECT hash, pg_catalog.sum({versions})::text, pg_catalog.count(*),"
            " (pg_catalog.array_agg(pg_catalog.to_jsonb(texts)))[1]"
            " FROM (SELECT xmin::text AS version, {row} AS hash, ARRAY[{columns}]::text[] AS texts"
            " FROM {relation} OFFSET 0) AS rows"
            " WHERE hash = ANY({hashes}) GROUP BY hash"
        ).format(
            versions=versions,
            row=self._row(),
            columns=sql.SQL(", ").join(columns),
            relation=self.relation.identifier,
            hashes=_bigints(hashes),
        )


@dataclass(frozen=True)
class Buckets:
    """Some of the buckets of a grain.

    The numbers of a bucket lie in runs of neighbours, one every `step`.
    """

    grain: Grain
    wanted: tuple[int, ...]

    @property
    def step(self) -> int:
        return 1 << (self.grain.bits + self.grain.shift)

    def runs(self, low: int) -> list[int]:
        """Where the first run of each of them begins that does not end before `low`."""
        mask, first = (1 << self.grain.bits) - 1, low >> self.grain.shift
        return [(first + ((one - first) & mask)) << self.grain.shift for one in self.wanted]

    def numbers(self, low: int, high: int) -> int:
        """How many numbers the runs between `low` and `high` have, at most."""
        size = 1 << self.grain.shift
        return len(self.wanted) * ((high - low + size - 1) // self.step + 1) * size


def _bucket(place: sql.Composable, grain: Grain) -> sql.Composed:
    mask = sql.Literal((1 << grain.bits) - 1)
    if grain.shift:
        return sql.SQL("({} >> {}) & {}").format(place, sql.Literal(grain.shift), mask)
    return sql.SQL("{} & {}").format(place, mask)


def _bigints(values: Iterable[int]) -> sql.Composed:
    return sql.SQL("{}::pg_catalog.int8[]").format(sql.Literal(list(values)))


def _type(name: str) -> sql.SQL:
    """A type's name as the server itself wrote it, quoted where that is needed."""
    return sql.SQL(name)


def _leaf(relation: sql.Identifier) -> sql.Composed:
    return sql.SQL("ONLY {}").format(relation)


def _pages(part: Part) -> sql.Composable:
    """The condition that a row stands on the pages of `part`."""
    bounds = []
    if part.first is not None:
        bounds.append(sql.SQL("ctid >= {}::pg_catalog.tid").format(f"({part.first},0)"))
    if part.last is not None:
        bounds.append(sql.SQL("ctid < {}::pg_catalog.tid").format(f"({part.last},0)"))
    return sql.SQL(" AND ").join(bounds) if bounds else sql.SQL("true")
