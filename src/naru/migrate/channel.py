"""A channel carries changes one way: publication and slot here, subscription there.

Every act is idempotent: it looks first, so that a killed run can be taken up anywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import psycopg
from psycopg import sql

from naru.errors import DeadlineError, RefusedError
from naru.migrate import locks
from naru.migrate.names import Relation
from naru.migrate.sides import Side, execute_composed
from naru.migrate.subscription import create_subscription
from naru.postgres import Connection, Lsn, explain, fetch_value
from naru.system import wait_until

RELEASE_SECONDS = 30.0
"""How long a walsender may take to let go of its slot after its subscription stopped."""

_TABLES_PER_STATEMENT = 1000


@dataclass(frozen=True)
class Channel:
    """Changes of `tables` flow from `origin` to `destination` under one name."""

    name: str
    origin: Side
    destination: Side

    @property
    def identifier(self) -> sql.Identifier:
        return sql.Identifier(self.name)


def publish(channel: Channel, tables: Sequence[Relation], at: Connection) -> None:
    """Create the publication at the origin, if it is not there."""
    query = "SELECT 1 FROM pg_catalog.pg_publication WHERE pubname = %s"
    if fetch_value(at, query, [channel.name]):
        return

    def act() -> None:
        with at.transaction():
            execute_composed(at, "CREATE PUBLICATION {name}", name=channel.identifier)
            rest = iter(tables)
            while some := list(islice(rest, _TABLES_PER_STATEMENT)):
                execute_composed(
                    at,
                    "ALTER PUBLICATION {name} ADD TABLE {tables}",
                    name=channel.identifier,
                    tables=_table_list(some),
                )

    locks.patiently(at, act, tables, locks.AGAINST_PUBLISHING, "publishing tables")


def republish(channel: Channel, tables: Sequence[Relation], at: Connection) -> None:
    """Let an existing publication carry only `tables`."""
    if not tables:
        return

    def act() -> None:
        execute_composed(
            at,
            "ALTER PUBLICATION {name} SET TABLE {tables}",
            name=channel.identifier,
            tables=_table_list(tables),
        )

    locks.patiently(at, act, tables, locks.AGAINST_PUBLISHING, "publishing tables")


def _table_list(tables: Sequence[Relation]) -> sql.Composed:
    # ONLY: an inheritance child is listed by itself.
    return sql.SQL(", ").join(sql.SQL("ONLY {}").format(table.identifier) for table in tables)


def create_slot(channel: Channel, at: Connection, *, failover: bool) -> None:
    """Create the slot at the origin without a snapshot.

    With `failover` its standbys may have it, too; only servers from version 17 on can.
    """
    if slot_exists(channel, at):
        return
    if failover and at.info.server_version >= 170000:
        query = (
            "SELECT pg_catalog.pg_create_logical_replication_slot(%s, 'pgoutput', failover => true)"
        )
    else:
        query = "SELECT pg_catalog.pg_create_logical_replication_slot(%s, 'pgoutput')"
    at.execute(query, [channel.name])


def create_slot_with_snapshot(channel: Channel, replication: Connection) -> tuple[str, Lsn]:
    """Create the slot; give the exported snapshot's name and the slot's consistent point.

    The snapshot lives as long as `replication` stays open and idle.
    """
    major = replication.info.server_version // 10000
    option = "(SNAPSHOT 'export')" if major >= 15 else "EXPORT_SNAPSHOT"
    query = sql.SQL("CREATE_REPLICATION_SLOT {} LOGICAL pgoutput " + option)
    try:
        row = replication.execute(query.format(channel.identifier)).fetchone()
    except psycopg.Error as error:
        raise explain_slot(error, channel) from error
    if row is None:
        raise RefusedError(f"{channel.origin}: no answer to CREATE_REPLICATION_SLOT {channel.name}")
    return str(row[2]), Lsn.parse(row[1])


def explain_slot(error: psycopg.Error, channel: Channel) -> Exception:
    """Say why a slot could not be made; the common reasons have remedies of their own."""
    known = {
        "53400": (
            "all replication slots are in use",
            "raise max_replication_slots, or drop a slot that nobody reads"
            " (SELECT slot_name, active FROM pg_replication_slots)",
        ),
        "42710": (
            f"a slot named {channel.name} exists already",
            "another migration of this name is under way, or was left: `naru migrate abort`",
        ),
        "55000": (
            "logical decoding is not possible",
            "ALTER SYSTEM SET wal_level = 'logical', and restart the server",
        ),
    }
    if error.sqlstate in known:
        text, remedy = known[error.sqlstate]
        return RefusedError(f"{channel.origin}: {text}", remedy=remedy, sqlstate=error.sqlstate)
    return explain(error, channel.origin.dsn, "making a replication slot")


def slot_exists(channel: Channel, at: Connection) -> bool:
    query = "SELECT 1 FROM pg_catalog.pg_replication_slots WHERE slot_name = %s"
    return bool(fetch_value(at, query, [channel.name]))


def advance_slot(channel: Channel, at: Connection) -> Lsn:
    """Move an idle slot up to the end of the flushed WAL, and give where it stands."""
    query = (
        "SELECT end_lsn FROM pg_catalog.pg_replication_slot_advance("
        "%s, pg_catalog.pg_current_wal_flush_lsn())"
    )
    return Lsn.parse(fetch_value(at, query, [channel.name]))


def subscribe(channel: Channel, at_origin: Connection, at: Connection) -> None:
    """Create the subscription, disabled, at the destination, on the slot as it stands.

    It does not wait for synchronous standbys yet, so that it can catch up: see `make_durable`.
    """
    if subscription_enabled(channel, at) is not None:
        return
    create_subscription(
        channel.name,
        channel.origin.conninfo_for_peer(at_origin, peer_version=at.info.server_version),
        at,
        # Huge transactions are sent while they run, not collected at the origin.
        streaming=min(at.info.server_version, at_origin.info.server_version) >= 140000,
    )


def make_durable(channel: Channel, at: Connection, *, durable: bool = True) -> None:
    """Let each applied transaction wait for the destination's synchronous standbys, or not.

    The worker confirms what is flushed on its own server. Without this wait the slot could
    move past changes that no standby has, and a failover there would lose them.
    """
    execute_composed(
        at,
        "ALTER SUBSCRIPTION {name} SET (synchronous_commit = {value})",
        name=channel.identifier,
        value=sql.SQL("on" if durable else "off"),
    )


def enable(channel: Channel, at: Connection) -> None:
    """Let changes flow."""
    execute_composed(at, "ALTER SUBSCRIPTION {name} ENABLE", name=channel.identifier)


def disable(channel: Channel, at: Connection) -> None:
    """Stop changes; the slot keeps its place."""
    if subscription_enabled(channel, at):
        execute_composed(at, "ALTER SUBSCRIPTION {name} DISABLE", name=channel.identifier)


def subscription_enabled(channel: Channel, at: Connection) -> bool | None:
    """Whether it is enabled; None if there is none."""
    query = """
        SELECT subenabled FROM pg_catalog.pg_subscription WHERE subname = %s
        AND subdbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
    """
    value = fetch_value(at, query, [channel.name])
    return None if value is None else bool(value)


def drop_destination(channel: Channel, at: Connection) -> None:
    """Drop the subscription without touching the slot: the other side may be out of reach."""
    if subscription_enabled(channel, at) is None:
        return
    disable(channel, at)
    execute_composed(
        at, "ALTER SUBSCRIPTION {name} SET (slot_name = NONE)", name=channel.identifier
    )
    execute_composed(at, "DROP SUBSCRIPTION {name}", name=channel.identifier)


def drop_origin(channel: Channel, at: Connection) -> None:
    """Drop slot and publication; waits for a walsender that still holds the slot."""
    drop_slot(channel, at)
    execute_composed(at, "DROP PUBLICATION IF EXISTS {name}", name=channel.identifier)


def drop_slot(channel: Channel, at: Connection) -> None:
    """Drop the slot; its WAL may go. Waits for a walsender that still holds it."""
    release_slot(channel, at)
    if slot_exists(channel, at):
        at.execute("SELECT pg_catalog.pg_drop_replication_slot(%s)", [channel.name])


def release_slot(channel: Channel, at: Connection) -> None:
    """Wait until nobody holds the slot; end a walsender that will not go."""
    query = "SELECT active_pid FROM pg_catalog.pg_replication_slots WHERE slot_name = %s"

    def is_free() -> bool:
        return fetch_value(at, query, [channel.name]) is None

    try:
        wait_until(is_free, f"slot {channel.name} to be let go", 2.0, every=0.05)
    except DeadlineError:
        at.execute(
            "SELECT pg_catalog.pg_terminate_backend(active_pid)"
            " FROM pg_catalog.pg_replication_slots WHERE slot_name = %s AND active",
            [channel.name],
        )
        wait_until(is_free, f"slot {channel.name} to be let go", RELEASE_SECONDS, every=0.1)
