"""How far one database is behind the other: by the WAL's positions, and by its own rows."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias

import psycopg
from psycopg import sql

from naru.postgres import Connection, Dsn, Lsn, fetch_all, fetch_value
from naru.verify.relations import query
from naru.verify.side import Side

Role = Literal["source", "target"]
Level = Literal["ok", "warning", "critical", "unknown"]
_Link: TypeAlias = "tuple[Side, Connection]"

_TABLE_MS = 2000
_PATIENCE = 1.0
"""How long a row that was just written may take before its absence counts."""
_RESTART = 6.0
"""How long an enabled subscription may be without its worker, which is started anew."""


@dataclass(frozen=True)
class ChannelLag:
    """One slot at `origin` and the subscription that it feeds at the other side.

    `seconds` is None where neither end knows: a channel that stands still.
    """

    slot: str
    origin: Role
    enabled: bool
    connected: bool
    bytes: int
    seconds: float | None
    retained_bytes: int
    wal_status: str
    errors: int

    @property
    def flows(self) -> bool:
        """True if changes are on their way, or would be."""
        return self.connected and self.wal_status not in ("lost", "no slot")


@dataclass(frozen=True)
class TableLag:
    """The latest `updated_at` of a table on both sides; `seconds` the target is behind."""

    table: str
    source: datetime | None
    target: datetime | None
    seconds: float | None
    reason: str | None = None
    """Why it could not be measured."""


@dataclass(frozen=True)
class ReplicationLag:
    """One look at both sides; the slowest counts."""

    channels: tuple[ChannelLag, ...]
    tables: tuple[TableLag, ...]

    @property
    def bytes(self) -> int | None:
        """How much WAL the slowest channel has before it; None without any channel."""
        return max((one.bytes for one in self.channels), default=None)

    @property
    def seconds(self) -> float | None:
        """By the channels; without any, by the tables; None if nobody knows."""
        known: Sequence[ChannelLag | TableLag] = self.channels or self.tables
        return max((one.seconds for one in known if one.seconds is not None), default=None)

    def level(self, warn: float, critical: float) -> Level:
        """How bad it is, by seconds. A channel that does not flow is critical at once; where
        neither a channel nor a table tells anything, it is unknown.
        """
        behind = [one.seconds for one in self.channels] + [one.seconds for one in self.tables]
        worst = max((seconds for seconds in behind if seconds is not None), default=0.0)
        if worst >= critical or any(not channel.flows for channel in self.channels):
            return "critical"
        if not self.channels and self.seconds is None:
            return "unknown"
        return "warning" if worst >= warn else "ok"

    def to_json(self) -> dict[str, Any]:
        return {
            "bytes": self.bytes,
            "seconds": self.seconds,
            "channels": [{**vars(one), "flows": one.flows} for one in self.channels],
            "tables": [vars(one) for one in self.tables],
        }


class LagMeter:
    """Looks at two databases again and again, on connections of its own.

    Raises UnreachableError or NotPermittedError when a side cannot be read.
    """

    def __init__(self, source: Dsn, target: Dsn) -> None:
        self._sides: dict[Role, Side] = {
            "source": Side("source", source), "target": Side("target", target)
        }  # fmt: skip
        self._links: dict[Role, _Link] = {}
        self._stands_still = False

    def __enter__(self) -> LagMeter:
        return self

    def __exit__(self, *_: object) -> None:
        for side in self._sides.values():
            side.close()
        self._links = {}

    def look(self, *, tables: bool = True) -> ReplicationLag:
        """Measure now. Without `tables` only the channels are looked at."""
        if not self._links:
            self._links = {role: (side, side.connect()) for role, side in self._sides.items()}
        channels = self._channels()
        until = time.monotonic() + (0 if self._stands_still else _RESTART)
        while _interrupted(channels) and time.monotonic() < until:
            time.sleep(0.2)
            channels = self._channels()
        self._stands_still = _interrupted(channels)
        stamped = _tables(self._links["source"], self._links["target"]) if tables else ()
        return ReplicationLag(channels, tuple(stamped))

    def _channels(self) -> tuple[ChannelLag, ...]:
        source, target = self._links["source"], self._links["target"]
        return (*_channels("source", source, target), *_channels("target", target, source))


def _interrupted(channels: Sequence[ChannelLag]) -> bool:
    return any(one.enabled and not one.flows for one in channels)


_SUBSCRIPTIONS = """
SELECT s.subslotname, s.subenabled, w.pid IS NOT NULL, {errors}
  FROM pg_catalog.pg_subscription s
  LEFT JOIN pg_catalog.pg_stat_subscription w ON {same} AND w.relid IS NULL
        AND pg_catalog.to_jsonb(w) ->> 'leader_pid' IS NULL
 WHERE s.subdbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
   AND s.subslotname IS NOT NULL
 ORDER BY 1
"""
_ERRORS = (
    "coalesce((SELECT e.apply_error_count FROM pg_catalog.pg_stat_subscription_stats e"
    " WHERE e.subid = s.oid), 0)"
)


def _channels(role: Role, origin: _Link, other: _Link) -> Iterator[ChannelLag]:
    with other[0].explained("reading the subscriptions"):
        version = other[1].info.server_version
        statement = sql.SQL(_SUBSCRIPTIONS).format(
            errors=sql.SQL(_ERRORS if version >= 150000 else "0"),
            # Until version 13 not everybody may read a subscription's OID.
            same=sql.SQL("w.subid = s.oid" if version >= 140000 else "w.subname = s.subname"),
        )
        subscriptions = fetch_all(other[1], statement)
    with origin[0].explained("reading the slots"):
        slots = {row[0]: row[1:] for row in fetch_all(origin[1], query("lag.sql"))}
    for slot, enabled, running, errors in subscriptions:
        if slot in slots:
            yield _channel(slot, role, enabled, slots[slot], errors)
        elif not running and role == "source":
            yield ChannelLag(slot, role, enabled, False, 0, None, 0, "no slot", errors)


def _channel(
    slot: str, origin: Role, enabled: bool, facts: tuple[Any, ...], errors: int
) -> ChannelLag:
    confirmed, end, restart, wal_status, active, delay, idle = facts
    behind, held = (Lsn.parse(end) - Lsn.parse(at) if at else 0 for at in (confirmed, restart))
    seconds = delay if active else idle
    if active and behind <= 0 and delay is not None:
        # The server shows the last delay for a while after there is nothing left to apply.
        seconds = 0.0
    return ChannelLag(
        slot, origin, enabled, active, max(0, behind), seconds, max(0, held), wal_status, errors
    )


def _tables(source: _Link, target: _Link) -> Iterator[TableLag]:
    with source[0].explained("looking for updated_at"):
        found = fetch_all(source[1], query("stamped.sql"))
    until = time.monotonic() + _PATIENCE
    for schema, name, cheap in found:
        shown = sql.Identifier(schema, name).as_string(source[1])
        if not cheap:
            yield TableLag(shown, None, None, None, "no index begins with updated_at")
            continue
        ours, theirs = (_latest(link, schema, name) for link in (source, target))
        while _behind(ours, theirs) > 0 and time.monotonic() < until:
            time.sleep(0.05)
            theirs = _latest(target, schema, name)
        if isinstance(ours, str) or isinstance(theirs, str):
            reason = f"source: {ours}" if isinstance(ours, str) else f"target: {theirs}"
            yield TableLag(shown, None, None, None, reason)
        else:
            yield TableLag(shown, ours, theirs, _behind(ours, theirs))


def _behind(source: datetime | str | None, target: datetime | str | None) -> float:
    """Seconds; a target without any row is not measured against a source with some."""
    if isinstance(source, datetime) and isinstance(target, datetime):
        return max(0.0, (source - target).total_seconds())
    return 0.0


def _latest(link: _Link, schema: str, name: str) -> datetime | str | None:
    """The latest updated_at, as of UTC where it has no zone; a string says why it is unknown."""
    side, connection = link
    statement = sql.SQL("SELECT pg_catalog.max(updated_at)::timestamptz FROM {}").format(
        sql.Identifier(schema, name)
    )
    limit = sql.SQL("SET statement_timeout = {}").format(_TABLE_MS)
    with side.explained("reading updated_at"):
        connection.execute(limit)
        try:
            found: datetime | None = fetch_value(connection, statement)
        except (psycopg.errors.QueryCanceled, psycopg.errors.LockNotAvailable):
            return "took too long"
        except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn):
            return "no such table with updated_at"
        except psycopg.errors.InsufficientPrivilege:
            return "not permitted"
        return found
