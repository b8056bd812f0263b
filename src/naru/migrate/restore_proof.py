"""Whether what was restored is what was dumped, without asking the source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from naru.migrate.dump_manifest import Contents
from naru.migrate.sides import PLAIN
from naru.postgres import Connection, Dsn, connect, fetch_all
from naru.system import SILENT, Observer
from naru.verify import DigestVerdict, Verdict, judge_digest, take_digest

_AT_ONCE = 200

_PLACES = """
SELECT w.name, n.nspname, c.relname
FROM unnest(%s::text[]) AS w (name)
JOIN pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass(w.name)
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
"""


@dataclass(frozen=True)
class RestoredDatabase:
    """What became of one database of a dump."""

    name: str
    target: str
    created: bool
    """The database was made by this restore."""
    rows: DigestVerdict | None
    """Held against the dump; None if the dump has no counts or no rows were restored."""
    sequences: tuple[str, ...]
    """Those that do not stand where the dump sets them."""
    problems: tuple[str, ...]
    """What the target refused and could be done without, and foreign keys that do not hold."""
    source: Verdict | None = None
    """The comparison with the source, if it was asked for."""

    @property
    def proven(self) -> bool:
        """True if nothing is missing, and nothing that was compared differs."""
        return (
            not self.problems
            and not self.sequences
            and (self.rows is None or self.rows.same)
            and (self.source is None or self.source.same)
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "database": self.name,
            "target": self.target,
            "created": self.created,
            "proven": self.proven,
            "rows": self.rows.to_json() if self.rows else None,
            "sequences": list(self.sequences),
            "problems": list(self.problems),
            "source": self.source.to_json() if self.source else None,
        }


def prove_rows(
    contents: Contents, target: Dsn, *, jobs: int = 2, observer: Observer = SILENT
) -> DigestVerdict | None:
    """Count (and hash, where the dump has hashes) every table, and hold it against the dump."""
    if contents.digest is None:
        return None
    found = take_digest(target, like=contents.digest, jobs=jobs, observer=observer)
    return judge_digest(contents.digest, found)


def misplaced_sequences(contents: Contents, target: Dsn) -> tuple[str, ...]:
    """Sequences that do not stand where the dump has set them, for people."""
    with connect(target, purpose="verify", settings=PLAIN) as connection:
        found = dict(_states(connection, list(contents.sequences)))
    return tuple(_misplaced(contents.sequences, found))


def _misplaced(
    wanted: Mapping[str, tuple[int, bool]], found: Mapping[str, tuple[int, bool]]
) -> Iterator[str]:
    for name, state in wanted.items():
        if name not in found:
            yield f"sequence {name} is missing"
        elif found[name] != state:
            yield f"sequence {name} stands at {found[name][0]} instead of {state[0]}"


def _states(connection: Connection, names: list[str]) -> Iterator[tuple[str, tuple[int, bool]]]:
    places = fetch_all(connection, _PLACES, [names])
    for start in range(0, len(places), _AT_ONCE):
        each = [
            sql.SQL("SELECT {}, last_value, is_called FROM {}").format(
                sql.Literal(name), sql.Identifier(schema, relation)
            )
            for name, schema, relation in places[start : start + _AT_ONCE]
        ]
        for name, value, called in connection.execute(sql.SQL(" UNION ALL ").join(each)):
            yield name, (value, called)
