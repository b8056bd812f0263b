"""Waiting once for what many transactions did not wait for."""

from __future__ import annotations

from naru.postgres import Connection


def settle(connection: Connection) -> None:
    """Return when every commit before this is on the disk, and on synchronous standbys.

    A commit waits only if its transaction wrote something, so it writes a message that says
    nothing; to have an ID is not enough.
    """
    with connection.transaction():
        connection.execute("SET LOCAL synchronous_commit = on")
        connection.execute("SELECT pg_catalog.pg_logical_emit_message(true, 'naru', '')")
