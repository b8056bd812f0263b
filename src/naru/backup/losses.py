"""Which transactions deleted rows of a table, and when: read from the WAL, after an accident."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from psycopg import sql

from naru.backup.manager import Backups
from naru.backup.segments import Segment, looking_again
from naru.backup.waldump import End, Read, read_segments
from naru.errors import UsageError
from naru.postgres import Dsn, connect, fetch_all, fetch_value

# The files of a table and, if it is partitioned, of all its partitions.
_FILES = """
SELECT coalesce(nullif(reltablespace, 0), dattablespace) || '/' || pg_database.oid || '/'
    || pg_relation_filenode(pg_class.oid)
FROM pg_class, pg_database
WHERE datname = current_database() AND pg_relation_filenode(pg_class.oid) IS NOT NULL
    AND pg_class.oid IN (SELECT %(table)s::regclass
        UNION SELECT relid FROM pg_partition_tree(%(table)s::regclass))
"""
_DELETE = re.compile(r"rmgr: Heap .*? tx: +(\d+), .*?desc: DELETE .*?rel (\d+/\d+/\d+) ")
_END = re.compile(r"desc: (?:COMMIT|ABORT)")
_XID = re.compile(r" tx: +(\d+),")
_SUB = re.compile(r"subxacts:((?: \d+)+)")


@dataclass(frozen=True)
class Loss:
    """A committed transaction that deleted rows."""

    xid: int
    rows: int
    at: datetime
    """When it committed."""

    def to_json(self) -> dict[str, Any]:
        return {"xid": self.xid, "rows": self.rows, "at": self.at.isoformat()}


def find_losses(
    backups: Backups, database: Dsn, table: str, since: datetime | None = None
) -> tuple[Loss, ...]:
    """Committed transactions that deleted rows of `table` (`schema.table`), the largest first.

    From `since` on, or from the beginning of the newest backup. A table that was rewritten or
    truncated meanwhile has another file: what was deleted before is not found. Raises
    UsageError when there is no such table.
    """
    files = _files_of(database, table)
    backups.catch_up()
    rows: Counter[int] = Counter()
    ends: dict[int, End] = {}
    parents: dict[int, int] = {}
    for pair in _pairs(backups, since):
        text = looking_again(partial(_read, backups, pair))
        size = backups.segment_size
        first = pair[0].number * size
        found = deletions(text.stdout.splitlines(), files, first, first + size)
        rows.update(found)
        ends.update({end.xid: end for end in text.contents.ends})
        parents.update(subtransactions(text.stdout.splitlines()))
    return judge(rows, ends, parents, since)


def _read(backups: Backups, pair: Sequence[Segment]) -> Read:
    inventory = backups.inventory()
    return read_segments(backups.installation, inventory, pair, "Heap", "Transaction")


def deletions(lines: Iterable[str], files: frozenset[str], start: int, end: int) -> Counter[int]:
    """Rows of `files` that each transaction deleted, by records that begin in [start, end)."""
    found: Counter[int] = Counter()
    for line in lines:
        match = _DELETE.search(line)
        if match and match[2] in files and start <= _lsn(line) < end:
            found[int(match[1])] += 1
    return found


def _lsn(line: str) -> int:
    high, low = line.partition(" lsn: ")[2].partition(",")[0].split("/")
    return (int(high, 16) << 32) | int(low, 16)


def subtransactions(lines: Iterable[str]) -> dict[int, int]:
    """Of each subtransaction that ended, the transaction that it was part of."""
    found = {}
    for line in lines:
        if _END.search(line) and (subs := _SUB.search(line)) and (xid := _XID.search(line)):
            found.update(dict.fromkeys(map(int, subs[1].split()), int(xid[1])))
    return found


def judge(
    rows: Mapping[int, int],
    ends: Mapping[int, End],
    parents: Mapping[int, int],
    since: datetime | None,
) -> tuple[Loss, ...]:
    """The committed ones, the largest first."""
    whole: Counter[int] = Counter()
    for xid, count in rows.items():
        whole[parents.get(xid, xid)] += count
    found = (
        Loss(xid, count, ends[xid].at)
        for xid, count in whole.items()
        if xid in ends and ends[xid].committed and (since is None or ends[xid].at >= since)
    )
    return tuple(sorted(found, key=lambda one: (-one.rows, one.at)))


def _pairs(backups: Backups, since: datetime | None) -> list[Sequence[Segment]]:
    """The segments to read, each with the one after it, along the service's timeline."""
    facts = backups.facts()
    usable = [one for one in facts.backups if one.whole and one.end and one.begin_lsn is not None]
    older = [one for one in usable if since is None or (one.end and one.end <= since)]
    begin = (older or usable)[-1 if older else 0].begin_lsn
    assert begin is not None
    run = facts.inventory.reach(facts.timeline, begin).segments
    return [
        [one, after] if after and after.timeline == one.timeline else [one]
        for one, after in zip(run, [*run[1:], None], strict=True)
    ]


def _files_of(database: Dsn, table: str) -> frozenset[str]:
    with connect(database, purpose="losses") as connection:
        quoted = sql.Identifier(*table.split(".")).as_string(connection)
        if fetch_value(connection, "SELECT to_regclass(%s)", [quoted]) is None:
            raise UsageError(
                f"there is no table {table} in database {database.database}",
                remedy="write it as schema.table, and name another database by --database",
            )
        rows = fetch_all(connection, _FILES, {"table": quoted})
    return frozenset(row[0] for row in rows)
