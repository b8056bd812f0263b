"""A transaction of a million rows, while following, with an impatient walsender."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from naru.migrate import LagWatch
from naru.migrate.follow import Lag, catch_up
from naru.postgres import Dsn, LocalServer, connect, fetch_value
from naru.system import wait_until
from tests.migration import Case, case, found

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

_ROWS = 1_000_000


@pytest.fixture
def made(tmp_path: Path, old_server: LocalServer, new_server: LocalServer) -> Iterator[Case]:
    def fill(source: Dsn) -> None:
        with connect(source, purpose="test") as connection:
            connection.execute("CREATE TABLE item (id int PRIMARY KEY, n int)")

    with case(tmp_path, old_server, new_server, "naru_large", fill=fill) as it:
        yield it


def test_a_huge_transaction_counts_as_lag_until_it_is_applied(made: Case) -> None:
    made.start()
    with (
        made.record() as record,
        connect(made.source, purpose="app") as source,
        connect(made.target, purpose="holder") as holder,
    ):
        watch = LagWatch(record)
        # All of it is sent, and nothing can be applied, until the test has seen that.
        holder.execute("BEGIN; LOCK TABLE item IN SHARE MODE")
        query = "INSERT INTO item SELECT g, g FROM generate_series(1, %s) g"
        source.execute(query, [_ROWS])

        def seen() -> Lag | None:
            lag = watch.sample()
            return lag if lag.applies_a_large_one and lag.problem else None

        lag = wait_until(seen, "the worker to wait for the lock", 120)
        assert lag.seconds > 3
        assert lag.problem is not None
        assert f"process {holder.info.backend_pid} " in lag.problem[0]
        holder.execute("COMMIT")
        catch_up(record)
        watch.close()
        with connect(made.target, purpose="app") as target:
            assert fetch_value(target, "SELECT count(*) FROM item") == _ROWS
        verdict = made.switcher(record).cross().verdict
    assert verdict is not None
    assert verdict.same, found(verdict)
