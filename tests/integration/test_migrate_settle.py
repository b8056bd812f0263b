"""What was committed without waiting is on the disk once it was settled."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from naru.migrate.settle import settle
from naru.postgres import Connection, LocalServer, connect, fetch_one
from naru.system import wait_until

pytestmark = pytest.mark.integration

_ENDS = (
    "SELECT pg_current_wal_insert_lsn(), pg_current_wal_flush_lsn() < pg_current_wal_insert_lsn()"
)


@pytest.fixture
def session(new_server: LocalServer) -> Iterator[Connection]:
    """A session at a server that flushes nothing by itself for a while."""
    with connect(new_server.dsn(), purpose="test") as connection:
        connection.execute("ALTER SYSTEM SET wal_writer_delay = '10s'")
        connection.execute("SELECT pg_reload_conf()")
        connection.execute("CREATE TABLE settled (n int)")
        yield connection
        connection.execute("DROP TABLE settled")
        connection.execute("ALTER SYSTEM RESET wal_writer_delay")
        connection.execute("SELECT pg_reload_conf()")


def test_commits_that_nobody_waited_for_are_flushed(session: Connection) -> None:
    session.execute("SET synchronous_commit = off")

    def hanging() -> str | None:
        session.execute("INSERT INTO settled SELECT generate_series(1, 100)")
        end, is_behind = fetch_one(session, _ENDS)
        return str(end) if is_behind else None

    end = wait_until(hanging, "a commit that is not flushed", 30)
    settle(session)
    (is_flushed,) = fetch_one(session, "SELECT pg_current_wal_flush_lsn() >= %s", [end])
    assert is_flushed
