"""What a database holds, in a few numbers a table, to be compared with another one later.

A digest is of one database at one snapshot: how many rows each table has and, if asked,
the sum of the rows' hashes. With it a copy can be proven when the source is no more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from naru.verify.hashing import SelfTest
from naru.verify.types import Form


@dataclass(frozen=True)
class TableDigest:
    """A table's rows; `hash` is their sum over `columns`, each a name, a type and a form."""

    rows: int
    hash: str | None = None
    columns: tuple[tuple[str, str, Form], ...] = ()


@dataclass(frozen=True)
class LargeObjectDigest:
    """All large objects; `hash` covers numbers and content."""

    count: int
    bytes: int | None = None
    hash: str | None = None


@dataclass(frozen=True)
class Digest:
    """What one database held at one snapshot; without `test` rows were only counted."""

    encoding: str
    tables: Mapping[str, TableDigest]
    """By `schema.table` as format('%I.%I') writes it; a partition is part of its root."""
    large_objects: LargeObjectDigest
    test: SelfTest | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, shape: dict[str, Any]) -> Digest:
        """Raises KeyError or TypeError when it is none."""
        return cls(
            encoding=shape["encoding"],
            tables={
                name: TableDigest(one["rows"], one["hash"], tuple(map(tuple, one["columns"])))
                for name, one in shape["tables"].items()
            },
            large_objects=LargeObjectDigest(**shape["large_objects"]),
            test=SelfTest(**shape["test"]) if shape["test"] else None,
        )


@dataclass(frozen=True)
class DigestDifference:
    """One table (or the large objects) that is not as the digest has it."""

    object: str
    text: str


@dataclass(frozen=True)
class DigestVerdict:
    """A database held against a digest of another: what was compared, how, and what differs."""

    tables: int
    rows: int
    hashed: int
    """Of how many tables the rows' hashes were compared too."""
    differences: tuple[DigestDifference, ...]
    not_hashed: tuple[str, ...]
    """Tables that have a hash in the digest which cannot be made here, so only counted."""

    @property
    def same(self) -> bool:
        return not self.differences

    def to_json(self) -> dict[str, Any]:
        return {"same": self.same, **asdict(self)}


def judge_digest(wanted: Digest, found: Digest) -> DigestVerdict:
    """Hold what was found against what is wanted."""
    differences = list(_differing_tables(wanted, found))
    differences += _differing_objects(wanted.large_objects, found.large_objects)
    hashed = [n for n, one in wanted.tables.items() if one.hash is not None and n in found.tables]
    compared = [name for name in hashed if found.tables[name].hash is not None]
    return DigestVerdict(
        tables=len(wanted.tables),
        rows=sum(one.rows for one in wanted.tables.values()),
        hashed=len(compared),
        differences=tuple(differences),
        not_hashed=tuple(sorted(set(hashed) - set(compared))),
    )


def _differing_tables(wanted: Digest, found: Digest) -> Iterator[DigestDifference]:
    for name, one in wanted.tables.items():
        there = found.tables.get(name)
        if there is None:
            yield DigestDifference(name, "the table is missing")
        elif there.rows != one.rows:
            yield DigestDifference(name, f"{there.rows:,} rows instead of {one.rows:,}")
        elif one.hash is not None and there.hash is not None and one.hash != there.hash:
            yield DigestDifference(name, f"{one.rows:,} rows, but not the same ones")


def _differing_objects(
    wanted: LargeObjectDigest, found: LargeObjectDigest
) -> Iterator[DigestDifference]:
    if wanted.count != found.count:
        yield DigestDifference("large objects", f"{found.count:,} instead of {wanted.count:,}")
    elif wanted.hash is not None and found.hash is not None and wanted != found:
        yield DigestDifference("large objects", f"{wanted.count:,}, but not the same content")
