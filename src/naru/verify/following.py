"""Looking again at rows that differ while replication runs, until each is decided."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import cast

from naru.errors import DeadlineError, UsageError
from naru.postgres import Connection, Dsn, Lsn, connect, fetch_all, fetch_one, fetch_value
from naru.system import Deadline, wait_until
from naru.verify.half import Half
from naru.verify.live import Decision, Round, State, decide, end_of_wal
from naru.verify.rows import CHUNK, Suspect
from naru.verify.verdict import RowKind

_Identity = tuple[int, tuple[str, ...]]
_REPLAY_SECONDS = 30.0
_COMMIT_SECONDS = 1.0
_CHEAP_ROWS = 100_000
"""Up to here rows without a key, found only by reading the whole table, are sampled."""


@dataclass(frozen=True)
class Followed:
    """What became of the suspects: real differences, and those not settled in time."""

    different: list[Suspect]
    pending: list[Suspect]


_SLOTS = """
SELECT slot_name FROM pg_catalog.pg_replication_slots
 WHERE slot_type = 'logical' AND database = current_database()
   AND CASE WHEN %s::text IS NULL THEN starts_with(slot_name, 'naru_') ELSE slot_name = %s END
 ORDER BY 1
"""


def _slots(connection: Connection, wanted: str | None) -> list[str]:
    """The logical slots that a live comparison could follow."""
    return [str(row[0]) for row in fetch_all(connection, _SLOTS, [wanted, wanted])]


def find_slots(source: Connection, target: Connection, wanted: str | None) -> tuple[str, ...]:
    """The logical slots through which the target follows the source.

    A migration whose copy went on under a second snapshot has more than one; each table's
    changes come through one of them. Raises UsageError when none can be told.
    """
    slots = _slots(source, wanted)
    if len(slots) > 1:
        query = "SELECT subslotname::text FROM pg_catalog.pg_subscription"
        read = {row[0] for row in fetch_all(target, query)}
        slots = [slot for slot in slots if slot in read]
    if slots:
        return tuple(slots)
    what = f"no logical slot {wanted!r}" if wanted else "none of Naru's that the target reads"
    raise UsageError(
        f"a live comparison follows a logical slot, and the source has {what}",
        remedy="name the slot of the subscription with --slot",
    )


def flows_back(source: Dsn, target: Dsn, slot: str | None) -> bool:
    """True if it is the source that follows the target, as after a cutover."""
    found = []
    for dsn in (source, target):
        with connect(dsn, purpose="verify", prepare=False) as connection:
            found.append(bool(_slots(connection, slot)))
    return found == [False, True]


_COPYING = """
SELECT pg_catalog.format('%%I.%%I', n.nspname, c.relname)
  FROM pg_catalog.pg_subscription s
  JOIN pg_catalog.pg_subscription_rel r ON r.srsubid = s.oid AND r.srsubstate <> 'r'
  JOIN pg_catalog.pg_class c ON c.oid = coalesce(pg_catalog.pg_partition_root(r.srrelid), r.srrelid)
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE s.subslotname = ANY (%s)
"""


def still_copied(target: Connection, slots: Sequence[str]) -> frozenset[str]:
    """Tables that the subscriptions of these slots have not copied yet, by `schema.table`.

    What the slots have been confirmed to replay says nothing about them.
    """
    return frozenset(str(row[0]) for row in fetch_all(target, _COPYING, [list(slots)]))


def follow(
    source: Half,
    target: Half,
    connections: tuple[Connection, Connection],
    slots: Sequence[str],
    found: list[Suspect],
    deadline: Deadline,
) -> Followed:
    """Look at all of `found` in rounds until each is decided or the deadline has passed."""
    open_ = {(suspect.place, suspect.key): suspect for suspect in found}
    last: dict[_Identity, Round] = {}
    different: list[Suspect] = []
    size = CHUNK if source.statements.key else len(open_)
    while open_ and not deadline.passed:
        for chunk in _chunks(open_, size):
            running = frozenset[str]().union(*(last[key].running for key in chunk if key in last))
            looked = _look(source, target, connections, slots, chunk, running)
            for identity, now in looked.items():
                verdict: Decision = decide(last.get(identity), now)
                last[identity] = now
                if verdict == "pending":
                    continue
                suspect = open_.pop(identity)
                last.pop(identity)
                if verdict == "different":
                    different.append(_as_seen(suspect, now))
    return Followed(different, list(open_.values()))


def _chunks(open_: dict[_Identity, Suspect], size: int) -> list[list[_Identity]]:
    """Those that are open; without a key each look reads the whole table, so all at once."""
    rest = iter(list(open_))
    chunks = []
    while chunk := list(islice(rest, size)):
        chunks.append(chunk)
    return chunks


def _as_seen(suspect: Suspect, now: Round) -> Suspect:
    if not suspect.key:
        surplus = _rows(now.source) - _rows(now.target)
        return replace(suspect, kind="missing" if surplus > 0 else "extra", count=abs(surplus))
    kind = "missing" if now.target is None else "extra" if now.source is None else "changed"
    return replace(suspect, kind=cast("RowKind", kind))


def _rows(state: State | None) -> int:
    """How many rows there are: the state of a row without a key is its number."""
    return state.hash if state else 0


def _look(
    source: Half,
    target: Half,
    connections: tuple[Connection, Connection],
    slots: Sequence[str],
    chunk: list[_Identity],
    before: frozenset[str],
) -> dict[_Identity, Round]:
    """One round: the source, then the target once it has replayed that read.

    `before` are the transactions that may have been committing in the round before.
    """
    settled = not before or _ended(source, connections[0], before)
    ours = _states(source, connections[0], chunk)
    with source.side.explained("reading the position"):
        position = _end_of_wal(connections[0])
    seen: dict[_Identity, set[int | None]] = {key: set() for key in chunk}

    def sample() -> None:
        if not source.statements.key and source.statements.relation.estimate > _CHEAP_ROWS:
            return
        states = _states(source, connections[0], chunk)
        for key, hashes in seen.items():
            hashes.add(states[key].hash if key in states else None)

    _await_replay(source, connections[0], slots, str(position), sample)
    theirs = _states(target, connections[1], chunk)
    with source.side.explained("looking for running transactions"):
        running = _running(connections[0])
    sample()
    return {
        key: Round(ours.get(key), theirs.get(key), frozenset(seen[key]), running, settled)
        for key in chunk
    }


_WAL = (
    "SELECT pg_current_wal_insert_lsn()::text, current_setting('wal_block_size')::int8,"
    " pg_size_bytes(current_setting('wal_segment_size'))"
)
_RUNNING = """
SELECT backend_xid::text FROM pg_catalog.pg_stat_activity
 WHERE backend_xid IS NOT NULL AND coalesce(state, '') NOT LIKE 'idle in transaction%'
UNION ALL
SELECT transaction::text FROM pg_catalog.pg_prepared_xacts
"""
"""Transactions that may be committing: one that waits for its client is not."""


def _running(connection: Connection) -> frozenset[str]:
    return frozenset(str(row[0]) for row in fetch_all(connection, _RUNNING))


def _ended(source: Half, connection: Connection, before: frozenset[str]) -> bool:
    """Wait a little until none of these transactions runs any more; True if so."""
    with source.side.explained("looking for running transactions"):
        try:
            wait_until(
                lambda: not before & _running(connection),
                "transactions to end", _COMMIT_SECONDS, every=0.005,
            )  # fmt: skip
        except DeadlineError:
            return False
    return True


def _end_of_wal(connection: Connection) -> Lsn:
    inserted, page, segment = fetch_one(connection, _WAL)
    return end_of_wal(Lsn.parse(inserted), page, segment)


def _await_replay(
    source: Half,
    connection: Connection,
    slots: Sequence[str],
    position: str,
    sample: Callable[[], None],
) -> None:
    """Wait until the target has replayed `position`; call `sample` all the while."""
    query = (
        "SELECT coalesce(bool_and(confirmed_flush_lsn >= %s::pg_lsn), false) AND count(*) = %s"
        " FROM pg_replication_slots WHERE slot_name = ANY (%s)"
    )

    def replayed() -> bool:
        sample()
        return bool(fetch_value(connection, query, [position, len(slots), list(slots)]))

    with source.side.explained("following the slot"):
        try:
            wait_until(
                replayed,
                f"the target to replay {position} through slot {', '.join(slots)}",
                _REPLAY_SECONDS,
                every=0.01,
            )
        except DeadlineError as error:
            raise DeadlineError(
                error.message, remedy="check that the subscription is enabled and catches up"
            ) from error


def _states(half: Half, connection: Connection, chunk: list[_Identity]) -> dict[_Identity, State]:
    statements = half.statements
    places = {key: place for place, key in chunk}
    states: dict[_Identity, State] = {}
    with half.side.reading(connection, "looking again"):
        if not statements.key:
            for row in connection.execute(statements.multiset(place for place, _ in chunk)):
                states[(row[0], ())] = State(row[1], row[2])
            return states
        query = statements.states([key for _, key in chunk], columns=False)
        for row in connection.execute(query):
            key = tuple(row[0])
            if key in places:
                states[(places[key], key)] = State(row[1], row[2])
    return states
