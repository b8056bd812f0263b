"""What goes on in a database now: transactions, clients, and what is in the way of a switch."""

from __future__ import annotations

from naru.migrate.unlogged import MOST_BYTES, read_unlogged
from naru.postgres import Connection, fetch_all, fetch_value


def long_transactions(connection: Connection) -> tuple[tuple[int, float, str], ...]:
    """Transactions of clients in this database by age, longest first."""
    return tuple(
        fetch_all(
            connection,
            """
            SELECT pid, extract(epoch FROM now() - xact_start)::float8, application_name
            FROM pg_catalog.pg_stat_activity
            WHERE datname = current_database() AND backend_type = 'client backend'
              AND xact_start IS NOT NULL AND pid <> pg_backend_pid()
              AND NOT (application_name LIKE 'naru: %' AND usename = current_user)
            ORDER BY 2 DESC LIMIT 20
            """,
        )
    )


def prepared_transactions(connection: Connection) -> tuple[str, ...]:
    """Prepared transactions of this database."""
    query = "SELECT gid FROM pg_catalog.pg_prepared_xacts WHERE database = current_database()"
    return tuple(row[0] for row in fetch_all(connection, query))


def not_synchronised(connection: Connection) -> tuple[str, ...]:
    """Tables of our subscriptions on the receiving side whose rows are not all there yet."""
    rows = fetch_all(
        connection,
        """
        SELECT DISTINCT srrelid::regclass::text FROM pg_catalog.pg_subscription_rel r
        -- Until version 13 not everybody may read a subscription's OID itself.
        JOIN pg_catalog.pg_stat_subscription v ON v.subid = r.srsubid
        JOIN pg_catalog.pg_subscription s ON s.subname = v.subname AND s.subenabled
         AND s.subdbid = (SELECT oid FROM pg_catalog.pg_database
                          WHERE datname = pg_catalog.current_database())
        WHERE r.srsubstate <> 'r' AND starts_with(s.subname, 'naru_') ORDER BY 1 LIMIT 20
        """,
    )
    return tuple(row[0] for row in rows)


def unlogged_tables(connection: Connection) -> tuple[str, ...]:
    """Tables whose changes nothing can follow, if together they are too large for the pause."""
    tables = read_unlogged(connection)
    if sum(one.bytes for one in tables) <= MOST_BYTES:
        return ()
    largest = sorted(tables, key=lambda one: -one.bytes)
    return tuple(str(one.relation) for one in largest[:3])


def differing_passwords(leave: Connection, enter: Connection) -> tuple[str, ...]:
    """Roles that may log in on both sides, by secrets that are not the same; the first 20.

    The secrets stay on their servers: only digests of them are compared. None where they
    may not be read.
    """
    if not (_may_read_secrets(leave) and _may_read_secrets(enter)):
        return ()
    here, there = dict(fetch_all(leave, _DIGESTS)), dict(fetch_all(enter, _DIGESTS))
    return tuple(name for name in sorted(here) if name in there and here[name] != there[name])[:20]


def _may_read_secrets(connection: Connection) -> bool:
    query = "SELECT pg_catalog.has_table_privilege('pg_catalog.pg_authid', 'SELECT')"
    return bool(fetch_value(connection, query))


_DIGESTS = """
SELECT rolname, pg_catalog.sha256(pg_catalog.convert_to(coalesce(rolpassword, ''), 'UTF8'))
FROM pg_catalog.pg_authid WHERE rolcanlogin AND NOT rolsuper
"""


def clients(connection: Connection) -> tuple[str, ...]:
    """Client sessions of this database that are none of ours."""
    rows = fetch_all(
        connection,
        """
        SELECT DISTINCT coalesce(usename, '?') || ', ' || coalesce(application_name, '')
        FROM pg_catalog.pg_stat_activity
        WHERE datname = current_database() AND backend_type = 'client backend'
          AND pid <> pg_backend_pid()
          AND NOT (application_name LIKE 'naru: %' AND usename = current_user)
        LIMIT 20
        """,
    )
    return tuple(row[0] for row in rows)
