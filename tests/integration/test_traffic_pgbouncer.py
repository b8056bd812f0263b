"""A real PgBouncer is paused, re-pointed and resumed between two real servers."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from naru.errors import (
    DeadlineError,
    NotPermittedError,
    RefusedError,
    ServerError,
    UnreachableError,
    UsageError,
)
from naru.postgres import Dsn, LocalServer, connect, fetch_value
from naru.system import Deadline
from naru.traffic import PgBouncer
from naru.traffic.console import Console
from tests.poolers import TestPooler, application
from tests.servers import free_port

pytestmark = pytest.mark.integration

DATABASE = "naru_traffic"
ROLE = "naru_traffic_app"


@dataclass(frozen=True)
class Scene:
    """Two servers with the same role and database, and a pooler in front of the old one."""

    old: LocalServer
    new: LocalServer
    pooler: TestPooler
    client: Dsn


@pytest.fixture(scope="module")
def role(old_server: LocalServer, new_server: LocalServer) -> Iterator[tuple[str, str]]:
    with application([old_server, new_server], DATABASE, ROLE) as found:
        yield found


@pytest.fixture
def scene(
    server_folder: Path,
    old_server: LocalServer,
    new_server: LocalServer,
    role: tuple[str, str],
    request: pytest.FixtureRequest,
) -> Iterator[Scene]:
    password, secret = role
    pooler = TestPooler(
        server_folder / f"pooler-{request.node.name}",
        entries=f"; kept\n{DATABASE} = host=127.0.0.1 port={old_server.port} pool_size=5\n"
        f"* = host=127.0.0.1 port={old_server.port}",
        users=f'"{ROLE}" "{secret}"\n',
    )
    with pooler:
        yield Scene(old_server, new_server, pooler, pooler.dsn(DATABASE, ROLE, password))


def _port_of(connection: psycopg.Connection[tuple[object, ...]]) -> int:
    return int(fetch_value(connection, "SELECT current_setting('port')"))


def test_the_scram_secret_alone_lets_a_client_through(scene: Scene) -> None:
    with connect(scene.client, purpose="test", prepare=False) as connection:
        assert _port_of(connection) == scene.old.port


def test_a_client_moves_to_the_other_server_without_an_error(scene: Scene) -> None:
    pooler = scene.pooler.control
    with connect(scene.client, purpose="test", prepare=False) as connection:
        assert _port_of(connection) == scene.old.port
        pooler.pause(DATABASE, Deadline(5, "the pause"))
        assert pooler.observe(DATABASE).paused
        answers: list[int] = []
        waiting = threading.Thread(target=lambda: answers.append(_port_of(connection)))
        waiting.start()
        pooler.point(DATABASE, "127.0.0.1", scene.new.port)
        facts = pooler.observe(DATABASE)
        assert (facts.port, facts.dbname, facts.paused) == (scene.new.port, DATABASE, True)
        assert not answers
        pooler.resume(DATABASE)
        waiting.join(timeout=20)
        assert answers == [scene.new.port]
    text = scene.pooler.ini.read_text()
    assert f"; kept\n{DATABASE} = host=127.0.0.1 port={scene.new.port} pool_size=5\n" in text
    before = scene.pooler.ini.with_name("pgbouncer.ini.before-naru").read_text()
    assert before == text.replace(str(scene.new.port), str(scene.old.port), 1)


def test_an_open_transaction_makes_the_pause_give_up_and_clients_go_on(scene: Scene) -> None:
    pooler = scene.pooler.control
    with connect(scene.client, purpose="holder", prepare=False, autocommit=False) as holder:
        holder.execute("SELECT 1")
        with pytest.raises(DeadlineError, match="naru: holder") as caught:
            pooler.pause(DATABASE, Deadline(0.3, "the pause"))
        assert ROLE in str(caught.value)
        facts = pooler.observe(DATABASE)
        assert (facts.paused, facts.port) == (False, scene.old.port)
        with connect(scene.client, purpose="test", prepare=False) as other:
            assert _port_of(other) == scene.old.port
        holder.commit()
    pooler.pause(DATABASE, Deadline(5, "the pause"))
    pooler.resume(DATABASE)


def test_every_call_may_be_made_twice(scene: Scene) -> None:
    pooler = scene.pooler.control
    pooler.resume(DATABASE)
    pooler.pause(DATABASE, Deadline(5, "the pause"))
    pooler.pause(DATABASE, Deadline(5, "the pause"))
    for _ in range(2):
        pooler.point(DATABASE, "127.0.0.1", scene.new.port, "other")
    assert pooler.observe(DATABASE).where == f"127.0.0.1:{scene.new.port}/other"
    for _ in range(2):
        scene.pooler.control.resume(DATABASE)
    assert not pooler.observe(DATABASE).paused


def test_a_pause_whose_process_died_can_be_resumed_by_another(scene: Scene) -> None:
    scene.pooler.control.pause(DATABASE, Deadline(5, "the pause"))
    fresh = scene.pooler.control
    assert fresh.observe(DATABASE).paused
    fresh.resume(DATABASE)
    with connect(scene.client, purpose="test", prepare=False) as connection:
        assert _port_of(connection) == scene.old.port


def test_a_restart_while_paused_is_said_and_nothing_is_re_pointed(scene: Scene) -> None:
    pooler = scene.pooler.control
    pooler.pause(DATABASE, Deadline(5, "the pause"))
    scene.pooler.stop(signal.SIGKILL)
    scene.pooler.start()
    with pytest.raises(RefusedError, match="restarted"):
        pooler.point(DATABASE, "127.0.0.1", scene.new.port)
    assert pooler.observe(DATABASE).port == scene.old.port
    pooler.point(DATABASE, "127.0.0.1", scene.old.port)
    pooler.resume(DATABASE)


def test_what_would_fail_within_the_pause_fails_before_it(scene: Scene, tmp_path: Path) -> None:
    stranger = tmp_path / "other.ini"
    stranger.write_text("%include /etc/more.ini\n[databases]\nother = host=10.9.9.9\n")
    with pytest.raises(UsageError, match="no entry") as caught:
        PgBouncer(scene.pooler.admin, stranger).pause(DATABASE, Deadline(5, "the pause"))
    assert "/etc/more.ini" in str(caught.value.remedy)
    assert not scene.pooler.control.observe(DATABASE).paused


def test_a_database_that_only_the_star_serves_gets_its_own_entry(scene: Scene) -> None:
    pooler = scene.pooler.control
    assert pooler.observe("postgres").port == scene.old.port
    pooler.pause("postgres", Deadline(5, "the pause"))
    pooler.point("postgres", "127.0.0.1", scene.new.port, DATABASE)
    assert pooler.observe("postgres").paused
    pooler.resume("postgres")
    moved = scene.client.with_(dbname="postgres")
    with connect(moved, purpose="test", prepare=False) as connection:
        assert _port_of(connection) == scene.new.port
    assert pooler.observe("template1").port == scene.old.port


def test_session_pooling_is_refused_with_the_remedy(scene: Scene) -> None:
    ini = scene.pooler.ini
    with connect(scene.client, purpose="test", prepare=False):
        with Path(ini).open("a") as file:
            file.write("[users]\n" + f"{ROLE} = pool_mode=session\n")
        _reload(scene.pooler)
        with pytest.raises(RefusedError, match="session") as caught:
            scene.pooler.control.pause(DATABASE, Deadline(5, "the pause"))
    assert "pool_mode = transaction" in str(caught.value.remedy)


def _reload(pooler: TestPooler) -> None:
    with Console(pooler.admin) as console:
        console.command("RELOAD")


def test_a_file_of_another_pooler_is_noticed_and_put_back(scene: Scene, tmp_path: Path) -> None:
    stranger = tmp_path / "other.ini"
    stranger.write_text(text := f"[databases]\n{DATABASE} = host=10.9.9.9\n")
    pooler = PgBouncer(scene.pooler.admin, stranger)
    with pytest.raises(ServerError, match="still points at") as caught:
        pooler.point(DATABASE, "127.0.0.1", scene.new.port)
    assert str(stranger) in str(caught.value.remedy)
    assert stranger.read_text() == text


def test_a_pooler_that_does_not_run_is_named() -> None:
    port = free_port()
    nobody = PgBouncer(Dsn.of("127.0.0.1", port, "pgbouncer", "admin"), Path("/nowhere.ini"))
    with pytest.raises(UnreachableError, match=f"127.0.0.1:{port}"):
        nobody.pause(DATABASE, Deadline(5, "the pause"))


def test_a_wrong_console_password_and_an_unknown_database_are_said(scene: Scene) -> None:
    wrong = PgBouncer(scene.pooler.admin.with_(password="wrong-1-word"), scene.pooler.ini)
    with pytest.raises(NotPermittedError, match="admin console refused"):
        wrong.observe(DATABASE)
    text = scene.pooler.ini.read_text()
    scene.pooler.ini.write_text("".join(x for x in text.splitlines(True) if x[0] != "*"))
    _reload(scene.pooler)
    with pytest.raises(UsageError, match="no database nosuch"):
        scene.pooler.control.observe("nosuch")
