"""Up to where a subscription has received: what its replication origin remembers."""

from __future__ import annotations

from naru.migrate.channel import Channel
from naru.postgres import Connection, Lsn, fetch_value


def may_begin_at(at: Connection) -> bool:
    """True if our login may move a replication origin.

    Before version 14 only superusers may, whatever the function's privileges say.
    """
    query = """
        SELECT current_setting('is_superuser') = 'on'
            OR current_setting('server_version_num')::int >= 140000
           AND pg_catalog.has_function_privilege(
                   'pg_catalog.pg_replication_origin_advance(text, pg_lsn)', 'EXECUTE')
    """
    return bool(fetch_value(at, query))


def begin_at(channel: Channel, position: Lsn, at: Connection) -> None:
    """Let the disabled subscription ask for changes from `position` on, and for none before.

    After a failover its slot may stand earlier than it did: where a standby knew it to be.
    """
    at.execute(
        "SELECT pg_catalog.pg_replication_origin_advance('pg_' || oid, %s::pg_lsn)"
        " FROM pg_catalog.pg_subscription WHERE subname = %s AND subdbid ="
        " (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())",
        [str(position), channel.name],
    )
