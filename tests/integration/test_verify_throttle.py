"""A comparison keeps to a rate, and waits while a server is busy."""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from psycopg import sql
from typer.testing import CliRunner

from naru.cli.main import app
from naru.errors import NotPermittedError, StoppedError
from naru.postgres import Dsn, LocalServer, connect, fetch_value
from naru.system import SILENT, Observer, wait_until
from naru.verify import Limit, Options, Rate, Restraint, Verdict, compare
from naru.verify.side import Side
from naru.verify.throttle import observe_load

pytestmark = pytest.mark.integration

CONTENT = "".join(
    f"CREATE TABLE t{n} (id int PRIMARY KEY, note text);"
    f"INSERT INTO t{n} SELECT n, repeat('x', 40) FROM generate_series(1, 1000) AS n;"
    for n in range(6)
)


@dataclass(frozen=True)
class Pair:
    source: Dsn
    target: Dsn


@pytest.fixture(scope="module")
def pair(old_server: LocalServer, new_server: LocalServer) -> Iterator[Pair]:
    name = f"held_{uuid.uuid4().hex[:8]}"
    with contextlib.ExitStack() as stack:
        for server in (old_server, new_server):
            admin = stack.enter_context(connect(server.dsn(), purpose="test"))
            database = sql.Identifier(name)
            admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(database))
            drop = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(database)
            stack.callback(admin.execute, drop)
            with connect(server.dsn(name), purpose="test") as connection:
                connection.execute(CONTENT)
        yield Pair(old_server.dsn(name), new_server.dsn(name))


class Listener:
    """An observer that remembers what people were told."""

    def __init__(self, heard: Callable[[str], None] = lambda _: None) -> None:
        self.notes: list[str] = []
        self.details: set[str] = set()
        self._heard = heard

    def step(self, title: str, state: str) -> None: ...

    def note(self, text: str) -> None:
        self.notes.append(text)
        self._heard(text)

    def progress(
        self, what: str, done: int, total: int | None, unit: str, *, detail: str = ""
    ) -> None:
        self.details.add(detail)


def rows(pair: Pair, restraint: Restraint, observer: Observer = SILENT) -> Verdict:
    options = Options(schema=False, large_objects=False, restraint=restraint)
    return compare(pair.source, pair.target, options=options, observer=observer)


def active(dsn: Dsn) -> int:
    side = Side("source", dsn)
    try:
        return observe_load(side, side.connect()).active
    finally:
        side.close()


@contextlib.contextmanager
def busy(dsn: Dsn) -> Iterator[Callable[[], None]]:
    """A session that works until it is told to end."""
    with connect(dsn, purpose="test") as working, connect(dsn, purpose="test") as other:
        pid = working.info.backend_pid

        def work() -> None:
            with contextlib.suppress(Exception):
                working.execute("SELECT pg_sleep(600)")

        thread = threading.Thread(target=work)
        thread.start()
        query = "SELECT state = 'active' FROM pg_stat_activity WHERE pid = %s"
        wait_until(lambda: fetch_value(other, query, [pid]), "it to work", 30)
        try:
            yield lambda: other.execute("SELECT pg_cancel_backend(%s)", [pid]).close()
        finally:
            working.cancel_safe()
            thread.join()


def test_a_rate_of_rows_is_kept(pair: Pair) -> None:
    began = time.monotonic()
    assert rows(pair, Restraint(rate=Rate.parse("4000"))).same
    # What is read last has not to be paid for: at most a table for each of the two workers.
    assert time.monotonic() - began >= (6000 - 2000) / 4000


def test_a_rate_of_bytes_is_kept(pair: Pair) -> None:
    with connect(pair.source, purpose="test") as connection:
        size = fetch_value(connection, "SELECT sum(pg_table_size(c)) FROM"
            " unnest('{t0,t1,t2,t3,t4,t5}'::regclass[]) AS c")  # fmt: skip
    began = time.monotonic()
    assert rows(pair, Restraint(rate=Rate.parse("400kB"))).same
    assert time.monotonic() - began >= float(size) * 4 / 6 / 400e3


def test_it_waits_while_sessions_work_says_why_and_goes_on(pair: Pair) -> None:
    with busy(pair.target) as end:
        limit = active(pair.target) - 1
        observer = Listener(lambda text: end() if text.startswith("paused") else None)
        restraint = Restraint(limits=(Limit("active", limit),))
        verdict = rows(pair, restraint, observer)
    assert verdict.same
    assert f"paused: target: {limit + 1} active sessions > {limit}" in observer.notes
    assert any(note.startswith("goes on after") for note in observer.notes)
    assert any(detail.startswith("waits: target") for detail in observer.details)
    assert verdict.method["paused_seconds"] > 0


def test_after_too_long_a_pause_it_is_given_up_to_go_on_another_time(pair: Pair) -> None:
    with busy(pair.source):
        restraint = Restraint(
            limits=(Limit("active", active(pair.source) - 1),), at_most_seconds=1.0
        )
        with pytest.raises(StoppedError, match="active sessions") as caught:
            rows(pair, restraint)
    assert "--resume" in (caught.value.remedy or "")


def test_a_login_that_may_not_see_sessions_is_told_so(pair: Pair) -> None:
    name, word = f"blind_{uuid.uuid4().hex[:8]}", uuid.uuid4().hex
    with connect(pair.source, purpose="test") as admin:
        role = sql.Identifier(name)
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(role, sql.Literal(word)))
        admin.execute(sql.SQL("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {}").format(role))
        blind = Pair(pair.source.with_(user=name, password=word), pair.target)
        try:
            with pytest.raises(NotPermittedError, match="may not be seen"):
                rows(blind, Restraint(limits=(Limit.parse("active>9"),)))
            assert rows(blind, Restraint(limits=(Limit.parse("latency>1h"),))).same
        finally:
            admin.execute(sql.SQL("DROP OWNED BY {}").format(role))
            admin.execute(sql.SQL("DROP ROLE {}").format(role))


def test_the_command_takes_all_of_it(pair: Pair, tmp_path: Path) -> None:
    words = ["verify", "--source", pair.source.conninfo(), "--target", pair.target.conninfo(),
             "--state", str(tmp_path)]  # fmt: skip
    calm = ["--rate", "1GB", "--pause-when", "latency>1h", "--pause-at-most", "forever"]
    done = CliRunner().invoke(app, [*words, *calm])
    assert done.exit_code == 0, done.output
    wrong = CliRunner().invoke(app, [*words, "--pause-when", "busy"])
    assert getattr(wrong.exception, "exit_code", None) == 2
