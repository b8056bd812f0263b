"""Every session of naru's, on either server, may be ended by somebody: the same command goes on."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from naru.errors import NaruError
from naru.migrate.follow import catch_up
from naru.postgres import LocalServer, connect
from tests.migration import Case, case, found

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

# One whose purpose was not yet met, of all that show; workers and keepers have numbers.
_END = """
SELECT regexp_replace(application_name, '[0-9]+$', ''), pg_terminate_backend(pid)
FROM pg_stat_activity
WHERE datname = %s AND application_name LIKE 'naru: %%' AND pid <> pg_backend_pid()
  AND regexp_replace(application_name, '[0-9]+$', '') <> ALL (%s)
ORDER BY random() LIMIT 1
"""
_LEFT_ALONE = ["naru: app", "naru: test", "naru: ender"]


@pytest.fixture
def made(tmp_path: Path, old_server: LocalServer, new_server: LocalServer) -> Iterator[Case]:
    with case(tmp_path, old_server, new_server, "naru_sessions") as it:
        yield it


class Ender:
    """Ends sessions of naru's on one server, of each purpose one, while the block runs."""

    def __init__(self, made: Case, server: LocalServer) -> None:
        self._made, self._server = made, server
        self.ended: list[str] = []
        self._stop = threading.Event()

    def run(self) -> None:
        with connect(self._server.dsn(), purpose="ender") as connection:
            while not self._stop.wait(random.uniform(0, 0.05)):
                values = [self._made.database, _LEFT_ALONE + self.ended]
                row = connection.execute(_END, values).fetchone()
                if row is not None:
                    self.ended.append(row[0])

    def __enter__(self) -> Ender:
        self._stop.clear()
        self._thread = threading.Thread(target=self.run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def test_a_start_whose_sessions_are_ended_one_by_one_goes_on_each_time(made: Case) -> None:
    old, new = Ender(made, made.old), Ender(made, made.new)
    failures, ended = 0, -1
    while len(old.ended + new.ended) > ended:
        ended = len(old.ended + new.ended)
        with old, new:
            try:
                made.start()
            except NaruError as error:
                failures += 1
                assert any(f":{one.port}/" in error.message for one in (made.old, made.new)), error
                assert error.remedy, error
        with connect(made.source, purpose="app") as source:
            source.execute("UPDATE users SET updated_at = now() WHERE id % 7 = 0")
    assert failures > 3
    assert any(one.startswith("naru: copy ") for one in old.ended + new.ended)
    made.start()
    with made.record() as record:
        catch_up(record)
        verdict = made.switcher(record).cross().verdict
    assert verdict is not None
    assert verdict.same, found(verdict)
