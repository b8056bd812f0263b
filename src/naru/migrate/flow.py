"""How a channel is doing, seen from both of its ends."""

from __future__ import annotations

from dataclasses import dataclass

from naru.migrate.channel import Channel, subscription_enabled
from naru.migrate.disk import full_disk
from naru.postgres import Connection, Lsn, fetch_value


@dataclass(frozen=True)
class Applying:
    """What the worker of a subscription is in the middle of."""

    seconds: float = 0.0
    """How long its transaction has been open; 0 between transactions."""
    blocked_by: int | None = None
    """A process of its own server that holds a lock which it waits for."""
    written: Lsn = Lsn(0)  # noqa: RUF009
    """The end of its server's WAL: while rows are applied it moves."""


@dataclass(frozen=True)
class ChannelFacts:
    """How a channel is doing."""

    name: str
    exists: bool
    enabled: bool
    connected: bool
    confirmed: Lsn | None
    """Everything before it has been applied and is durable at the destination."""
    current: Lsn
    """The origin's end of WAL."""
    retained_bytes: int
    """WAL that the slot holds back at the origin."""
    wal_status: str
    errors: int
    seconds: float
    """The walsender's own measure of the delay; 0 when idle."""
    applying: Applying = Applying()
    full_disk: str | None = None
    """What has run out at a destination that fails to apply, where it can be known."""

    @property
    def lag_bytes(self) -> int:
        return max(0, self.current - self.confirmed) if self.confirmed is not None else 0


_SLOT = """
SELECT s.confirmed_flush_lsn::text, pg_catalog.pg_current_wal_insert_lsn()::text,
       coalesce(pg_catalog.pg_current_wal_insert_lsn() - s.restart_lsn, 0)::bigint,
       coalesce(pg_catalog.to_jsonb(s) ->> 'wal_status', 'unknown'), s.active,
       coalesce(extract(epoch FROM r.replay_lag), 0)::float8
FROM pg_catalog.pg_replication_slots s
LEFT JOIN pg_catalog.pg_stat_replication r ON r.pid = s.active_pid
WHERE s.slot_name = %s
"""

# While a transaction that came in pieces is applied, the slot's position says nothing of it.
_WORKER = """
SELECT coalesce(extract(epoch FROM pg_catalog.clock_timestamp() - a.xact_start), 0)::float8,
       (pg_catalog.pg_blocking_pids(a.pid))[1],
       CASE WHEN NOT pg_catalog.pg_is_in_recovery()
            THEN pg_catalog.pg_current_wal_insert_lsn() END::text
FROM pg_catalog.pg_stat_subscription w
JOIN pg_catalog.pg_stat_activity a ON a.pid = w.pid
WHERE w.subname = %s AND w.relid IS NULL
  AND pg_catalog.to_jsonb(w) ->> 'leader_pid' IS NULL
"""


def observe(channel: Channel, at_origin: Connection, at_destination: Connection) -> ChannelFacts:
    """How the channel is doing, seen from both ends."""
    row = at_origin.execute(_SLOT, [channel.name]).fetchone()
    enabled = subscription_enabled(channel, at_destination)
    if row is None:
        current = fetch_value(at_origin, "SELECT pg_catalog.pg_current_wal_insert_lsn()::text")
        return ChannelFacts(
            channel.name, False, bool(enabled), False, None, Lsn.parse(current), 0, "missing",
            errors=0, seconds=0.0,
        )  # fmt: skip
    errors, connected = _errors(channel, at_destination), bool(row[4])
    return ChannelFacts(
        name=channel.name,
        exists=enabled is not None,
        enabled=bool(enabled),
        connected=connected,
        confirmed=Lsn.parse(row[0]) if row[0] else None,
        current=Lsn.parse(row[1]),
        retained_bytes=int(row[2]),
        wal_status=str(row[3]),
        errors=errors,
        seconds=float(row[5]),
        applying=_applying(channel, at_destination),
        full_disk=full_disk(at_destination) if errors and not connected else None,
    )


def _applying(channel: Channel, at: Connection) -> Applying:
    row = at.execute(_WORKER, [channel.name]).fetchone()
    if row is None:
        return Applying()
    return Applying(float(row[0]), row[1], Lsn.parse(row[2]) if row[2] else Lsn(0))


def _errors(channel: Channel, at: Connection) -> int:
    """How often applying has failed, where the server counts it (15 and later)."""
    if at.info.server_version < 150000:
        return 0
    query = "SELECT apply_error_count FROM pg_catalog.pg_stat_subscription_stats WHERE subname = %s"
    return int(fetch_value(at, query, [channel.name]) or 0)
