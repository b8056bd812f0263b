"""Databases of one server cross together, come back, and cross again; a shut gate holds all."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from psycopg import sql

from naru.cli.starting import pairs_between
from naru.errors import NaruError, UsageError
from naru.journal import Journal
from naru.migrate import abort, databases_between, open_records
from naru.postgres import Dsn, LocalServer, connect, fetch_value
from naru.system import SILENT
from tests.migration import Case, catalogs, drop_database

pytestmark = pytest.mark.integration

NAMES = ("naru_several_a", "naru several B")
FILL = """
CREATE TABLE thing (id int PRIMARY KEY, name text);
INSERT INTO thing SELECT n, current_database() || ' ' || n FROM generate_series(1, 500) n;
GRANT SELECT ON thing TO several_reader;
"""


class Several(Case):
    """Migrations of some databases, by the program."""

    def naru(self, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = self.command("migrate", *words, *self.uris())
        assert done.returncode == code, done.stdout + done.stderr[-3000:]
        return done

    def told(self, *words: str) -> Any:
        return json.loads(self.naru(*words, "--json").stdout)


@pytest.fixture
def made(tmp_path: Path, old_server: LocalServer, new_server: LocalServer) -> Iterator[Several]:
    it = Several(tmp_path, old_server, new_server, "postgres")
    with ExitStack() as stack:
        for name in NAMES:
            for server in (old_server, new_server):
                drop_database(server, name)
                stack.callback(drop_database, server, name)
        with connect(old_server.dsn(), purpose="test") as connection:
            connection.execute("DROP ROLE IF EXISTS several_reader")
            connection.execute("CREATE ROLE several_reader")
            for name in NAMES:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        for name in NAMES:
            with connect(old_server.dsn(name), purpose="test") as connection:
                connection.execute(FILL.encode())
        stack.callback(_give_up, it)
        yield it


def _give_up(made: Several) -> None:
    """Leave nothing on either server, whatever state the test has left."""
    with Journal.in_folder(made.state) as journal, suppress(UsageError):
        for one in open_records(journal, made.source, made.target):
            with suppress(NaruError):
                one.run.remember("at", "source")
                abort(one)
    shutil.rmtree(made.state, ignore_errors=True)


def chosen() -> list[str]:
    return [word for name in NAMES for word in ("--database", name)]


def add(dsn: Dsn, number: int) -> None:
    with connect(dsn, purpose="test") as connection:
        connection.execute("INSERT INTO thing VALUES (%s, 'later')", [number])


def rows(dsn: Dsn) -> int:
    with connect(dsn, purpose="test") as connection:
        return int(fetch_value(connection, "SELECT count(*) FROM thing"))


def where(made: Several) -> dict[str, str]:
    """At which side the writes of each are."""
    seen = made.told("status", "--all-databases")["migrations"]
    return {one["name"]: one["writes_at"] for one in seen}


def alter(dsn: Dsn, change: str) -> None:
    with connect(dsn, purpose="test") as connection:
        connection.execute(f"ALTER TABLE thing {change}".encode())


def test_both_cross_come_back_and_cross_again(made: Several) -> None:
    before = {name: catalogs(made.old, name) for name in NAMES}
    begun = made.told("start", *chosen())["migrations"]
    assert [(one["name"], one["state"]) for one in begun] == [(n, "following") for n in NAMES]

    alter(made.old.dsn(NAMES[1]), "ADD COLUMN late int")
    said = made.naru("cutover", "--all-databases", "--yes", code=1).stderr
    assert "a gate is shut" in said
    assert where(made) == dict.fromkeys(NAMES, "source")
    alter(made.old.dsn(NAMES[1]), "DROP COLUMN late")

    made.command("migrate", "cutover", "--name", NAMES[0], "--yes")
    for number, (command, at, count) in enumerate(
        (("cutover", "target", 1), ("rollback", "source", 2), ("cutover", "target", 2))
    ):
        for name in NAMES[-count:]:
            add((made.old if at == "target" else made.new).dsn(name), 1000 + number)
        crossed = made.told(command, "--all-databases", "--yes", "--pause-deadline", "20")
        assert [one["database"] for one in crossed["crossings"]] == list(NAMES[-count:])
        assert {one["at"] for one in crossed["crossings"]} == {at}
        assert all(one["verification"]["same"] for one in crossed["crossings"])
    assert [rows(made.new.dsn(name)) for name in NAMES] == [502, 503]

    looked = made.naru("watch", "--all-databases", "--looks", "1", "--every", "0.1").stdout
    assert [line.split("\t")[0] for line in looked.splitlines()] == list(NAMES)
    assert len(made.told("finish", "--all-databases", "--yes")["migrations"]) == 2
    assert {name: catalogs(made.old, name) for name in NAMES} == before


def test_what_is_meant_by_all(made: Several) -> None:
    names = [one.database for one, _ in databases_between(made.source, made.target)]
    assert set(NAMES) <= set(names)
    assert not {"template0", "template1"} & set(names)
    with pytest.raises(UsageError, match="no database 'naru_nowhere'"):
        databases_between(made.source, made.target, ["naru_nowhere"])
    with pytest.raises(UsageError, match="not both"):
        pairs_between(made.source, made.target, None, list(NAMES), True, SILENT)
    with pytest.raises(UsageError, match="--name is for one"):
        pairs_between(made.source, made.target, "x", list(NAMES), False, SILENT)
    with Journal.in_folder(made.state) as journal, pytest.raises(UsageError, match="under way"):
        open_records(journal, made.source, made.target)
