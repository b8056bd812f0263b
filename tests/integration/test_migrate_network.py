"""The network between naru and both servers, and between them, is cut and goes silent."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from psycopg import sql

from naru.errors import NaruError
from naru.journal import Journal
from naru.migrate import Record, SeenAt, begin_or_resume
from naru.migrate.follow import catch_up
from naru.migrate.switch import Stopwatch
from naru.postgres import Dsn, LocalServer, connect, vigil
from naru.system import wait_until
from tests.migration import Case, case, catalogs, found
from tests.proxy import Proxy

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

BOUND_SECONDS = 60.0
"""Far above what the shortened patience of these tests needs; a hang would be for ever."""


@dataclass
class Between(Case):
    """A migration that reaches either server, and a target that reaches the source, by proxies."""

    near_source: Proxy
    near_target: Proxy
    subscriber: Proxy

    @property
    def source(self) -> Dsn:
        return self.old.dsn(self.database).with_(port=str(self.near_source.port))

    @property
    def target(self) -> Dsn:
        return self.new.dsn(self.database).with_(port=str(self.near_target.port))

    @contextlib.contextmanager
    def record(self) -> Iterator[Record]:
        with Journal.in_folder(self.state) as journal:
            seen = SeenAt(f"127.0.0.1:{self.subscriber.port}")
            yield begin_or_resume(journal, self.database, self.source, self.target, seen)

    def write(self) -> None:
        """Change a third of a table, past every proxy."""
        with connect(self.old.dsn(self.database), purpose="app") as source:
            source.execute("UPDATE users SET updated_at = now() WHERE id % 3 = 0")


@pytest.fixture
def made(
    tmp_path: Path,
    old_server: LocalServer,
    new_server: LocalServer,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Between]:
    monkeypatch.setattr(vigil, "SILENT_SECONDS", 1.0)
    monkeypatch.setattr(vigil, "AGAIN_SECONDS", 1.0)
    monkeypatch.setattr(vigil, "ANSWER_SECONDS", 2)
    with (
        Proxy(old_server.port) as near_source,
        Proxy(new_server.port) as near_target,
        Proxy(old_server.port) as subscriber,
        case(tmp_path, old_server, new_server, "naru_network") as plain,
    ):
        proxies = (near_source, near_target, subscriber)
        made = Between(plain.folder, plain.old, plain.new, plain.database, *proxies)
        try:
            yield made
        finally:
            for proxy in proxies:
                proxy.heal()


def fails(made: Between, proxy: Proxy) -> NaruError:
    """A start ends with an error of ours, which names a server and what to do, and in time."""
    began = time.monotonic()
    with pytest.raises(NaruError) as caught:
        made.start()
    assert time.monotonic() - began < BOUND_SECONDS
    assert f":{proxy.port}/" in caught.value.message
    assert caught.value.remedy
    proxy.heal()
    return caught.value


def ends_the_same(made: Between) -> None:
    with made.record() as record:
        catch_up(record)
        verdict = made.switcher(record).cross().verdict
    assert verdict is not None
    assert verdict.same, found(verdict)


def test_a_copy_whose_connections_are_cut_or_go_silent_ends_and_goes_on(made: Between) -> None:
    source, target = made.near_source, made.near_target
    for proxy, trouble, size in (
        (source, source.cut, 300_000),
        (source, source.silence, 2_000_000),
        (target, target.silence, 300_000),
        (target, target.cut, 2_000_000),
    ):
        proxy.after(size, trouble)
        fails(made, proxy)
        made.write()
    made.start()
    made.write()
    ends_the_same(made)


def test_what_the_target_reads_is_cut_and_goes_silent_and_flows_again(made: Between) -> None:
    quick = {"wal_receiver_timeout": "3s", "wal_retrieve_retry_interval": "200ms"}
    with settings(made.new, **quick):
        made.start()
        for trouble in (made.subscriber.cut, made.subscriber.silence, made.subscriber.cut):
            made.write()
            trouble()
            made.write()
            if made.subscriber.is_silent:
                wait_until(lambda: not reads(made), "the worker to notice", 60)
            made.subscriber.heal()
            with made.record() as record:
                catch_up(record)
        ends_the_same(made)


@contextlib.contextmanager
def settings(server: LocalServer, **values: str) -> Iterator[None]:
    """Let a server have other settings for a while."""
    with connect(server.dsn(), purpose="test") as connection:
        for name, value in values.items():
            text = sql.SQL("ALTER SYSTEM SET {} = {}")
            connection.execute(text.format(sql.Identifier(name), sql.Literal(value)))
        connection.execute("SELECT pg_reload_conf()")
        try:
            yield
        finally:
            for name in values:
                connection.execute(sql.SQL("ALTER SYSTEM RESET {}").format(sql.Identifier(name)))
            connection.execute("SELECT pg_reload_conf()")


def reads(made: Between) -> bool:
    """True while a worker of the target thinks that it is connected to the source."""
    with connect(made.new.dsn(made.database), purpose="test") as target:
        query = "SELECT count(received_lsn) FROM pg_stat_subscription WHERE pid IS NOT NULL"
        return bool(target.execute(query).fetchone() != (0,))


def test_a_switch_whose_network_fails_leaves_the_source_as_it_was(
    made: Between, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = made.near_source, made.near_target
    made.start()
    before = catalogs(made.old, made.database)
    for step, proxy, trouble in (
        ("drain", source, source.cut),
        ("stop following", target, target.silence),
        ("snapshots", source, source.silence),
    ):
        with made.record() as record, at_step(monkeypatch, step, trouble):
            healing = threading.Timer(6.0, proxy.heal)
            healing.start()
            with pytest.raises(NaruError):
                made.switcher(record, seconds=4).cross()
            healing.cancel()
        proxy.heal()
        with made.record() as record:
            made.switcher(record)  # settles what could not be undone before
            assert record.at == "source"
        assert catalogs(made.old, made.database) == before
        made.write()
    ends_the_same(made)


@contextlib.contextmanager
def at_step(
    monkeypatch: pytest.MonkeyPatch, wanted: str, act: Callable[[], None]
) -> Iterator[None]:
    """Call `act` when a switch comes to the step `wanted`."""
    call = Stopwatch.__call__

    def acting(self: Stopwatch, step: str) -> contextlib.AbstractContextManager[None]:
        if step == wanted:
            act()
        return call(self, step)

    with monkeypatch.context() as patch:
        patch.setattr(Stopwatch, "__call__", acting)
        yield
