"""Looking at an address again and again, while the server behind it comes and goes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from naru.postgres import Dsn, LocalServer, connect, fetch_value
from naru.traffic import Probe, Tally
from tests import servers

pytestmark = pytest.mark.integration


def test_who_answers_is_told_and_nothing_is_left(new_server: LocalServer) -> None:
    probe = Probe(new_server.dsn(), seconds=20, write=True, names={"127.0.0.1": "db1"})
    look = probe.look()
    assert (look.ok, look.user, look.node, look.role) == (True, "postgres", "db1", "primary")
    assert look.ms > 0
    unnamed = Probe(new_server.dsn(), seconds=20, write=False).look()
    assert unnamed.node == f"127.0.0.1:{new_server.port}"


def test_a_look_that_must_write_fails_where_nothing_may(new_server: LocalServer) -> None:
    with connect(new_server.dsn(), purpose="test") as connection:
        connection.execute("CREATE DATABASE probed_read_only")
        connection.execute("ALTER DATABASE probed_read_only SET default_transaction_read_only = on")
    try:
        dsn = new_server.dsn("probed_read_only")
        assert Probe(dsn, seconds=20, write=False).look().ok
        assert "read-only" in Probe(dsn, seconds=20, write=True).look().error
    finally:
        with connect(new_server.dsn(), purpose="test") as connection:
            connection.execute("DROP DATABASE probed_read_only WITH (FORCE)")


def test_one_who_accepts_and_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        dsn = Dsn.parse(f"postgresql://nobody@127.0.0.1:{port}/none")
        look = Probe(dsn, seconds=0.5, write=False).look()
    assert look.error == "no answer within 0.5 s"


def test_an_outage_is_measured(server_folder: Path) -> None:
    tally = Tally()
    with servers.make_server(server_folder, "probed", servers.new_installation()) as server:
        probe = Probe(server.dsn(), seconds=20, write=True)
        tally.add(probe.look())
        server.stop()
        tally.add(probe.look())
        tally.add(probe.look())
        server.start()
        tally.add(probe.look())
    (outage,) = tally.outages
    assert (tally.looks, outage.looks) == (4, 2)
    assert outage.at_most is not None and 0 < outage.at_least < outage.at_most


def test_the_command_says_a_line_a_look_and_sums_up(
    new_server: LocalServer, tmp_path: Path
) -> None:
    dsn = new_server.dsn()
    command = [sys.executable, "-m", "naru", "probe", f"postgresql://postgres@127.0.0.1:{dsn.port}"]
    env = {**os.environ, "PGPASSWORD": dsn.parameters["password"]}
    limited = [*command, "--database=postgres", "--looks=3", "--every=0.05", "--timeout=20"]
    done = subprocess.run(limited, env=env, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    *looks, first, second = done.stdout.splitlines()
    assert len(looks) == 3 and all("postgres  127.0.0.1:" in one for one in looks)
    assert first.startswith("3 looks, 0 failed") and second.startswith("answered by")

    endless = [*command, "--database=no_such", "--json", "--every=0.05", "--timeout=20"]
    with subprocess.Popen(endless, env=env, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        look = json.loads(run.stdout.readline())
        assert not look["ok"] and "no_such" in look["error"]
        run.send_signal(signal.SIGINT)
        *_, last = run.stdout.read().splitlines()
        assert json.loads(last)["summary"]["failed"] >= 1
        assert run.wait(20) == 1
    with connect(new_server.dsn(), purpose="test") as connection:
        sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'naru: probe'"
        assert fetch_value(connection, sessions) == 0
