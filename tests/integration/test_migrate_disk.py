"""The target's disk is full: while rows are copied, while indexes are built, while following."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from psycopg import sql

from naru.errors import StoppedError
from naru.migrate.follow import catch_up
from naru.postgres import LocalServer, connect
from naru.system import give_to, private_folder, server_account, wait_until
from tests.migration import Case, case, found

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(300),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk"),
]

_SPACE = sql.Identifier("naru_small")
_CONTENT = """
CREATE TABLE item (id int PRIMARY KEY, text text);
ALTER TABLE item ALTER text SET STORAGE PLAIN;
INSERT INTO item SELECT g, repeat(md5(g::text), 30) FROM generate_series(1, 30000) g;
CREATE INDEX item_text ON item (text);
"""


@dataclass
class SmallDisk:
    """A file system in memory, as large as it is told to be, with a tablespace of the target."""

    folder: Path

    def resize(self, megabytes: int) -> None:
        _run("mount", "-o", f"remount,size={megabytes}m", self.folder)

    def fill(self) -> None:
        with (self.folder / "filler").open("wb", buffering=0) as file:
            try:
                while file.write(bytes(64 * 1024)):
                    pass
            except OSError:
                return

    def empty(self) -> None:
        (self.folder / "filler").unlink()


def _run(*words: str | Path) -> None:
    subprocess.run(words, check=True, capture_output=True, timeout=30)


@pytest.fixture
def disk(server_folder: Path, new_server: LocalServer) -> Iterator[SmallDisk]:
    folder = private_folder(server_folder / "small-disk", mode=0o755)
    try:
        _run("mount", "-t", "tmpfs", "-o", "size=16m,mode=0700", "tmpfs", folder)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no file system can be mounted here: {error.stderr.decode()}")
    give_to(folder, server_account())
    with connect(new_server.dsn(), purpose="test") as server:
        try:
            text = sql.SQL("CREATE TABLESPACE {} LOCATION {}")
            server.execute(text.format(_SPACE, sql.Literal(str(folder))))
            yield SmallDisk(folder)
        finally:
            server.execute(sql.SQL("DROP TABLESPACE IF EXISTS {}").format(_SPACE))
            _run("umount", folder)


@pytest.fixture
def made(
    tmp_path: Path, old_server: LocalServer, new_server: LocalServer, disk: SmallDisk
) -> Iterator[Case]:
    def fill(source: object) -> None:
        with connect(old_server.dsn("naru_disk"), purpose="test") as connection:
            connection.execute(_CONTENT)

    with case(tmp_path, old_server, new_server, "naru_disk", fill=fill) as it:
        with connect(new_server.dsn(), purpose="test") as server:
            name = sql.Identifier(it.database)
            server.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE template0 TABLESPACE {}").format(name, _SPACE)
            )
        yield it


def test_a_target_without_room_is_told_and_goes_on_when_there_is_some(
    made: Case, disk: SmallDisk
) -> None:
    for megabytes, doing in ((24, "copying public.item"), (56, "making index item_text")):
        disk.resize(megabytes)
        with pytest.raises(StoppedError) as caught:
            made.start()
        said = str(caught.value)
        assert f":{made.new.port}/{made.database}: a disk of that server is full" in said
        assert doing in said
        assert "No space left on device" in said
        assert "make room on it" in said
        with connect(made.source, purpose="app") as source:
            source.execute("UPDATE item SET text = 'new' WHERE id % 100 = 0")
    disk.resize(200)
    made.start()

    disk.fill()
    with connect(made.source, purpose="app") as source:
        source.execute(
            "INSERT INTO item SELECT g, repeat('x', 900) FROM generate_series(50001, 60000) g"
        )
    wait_until(lambda: "disk of its database is full" in problem(made), "it to be told", 60)
    disk.empty()
    with made.record() as record:
        catch_up(record)
        verdict = made.switcher(record).cross().verdict
    assert verdict is not None
    assert verdict.same, found(verdict)


def problem(made: Case) -> str:
    done = made.command("migrate", "status", "--json", *made.uris())
    return str(json.loads(done.stdout)["problem"])
