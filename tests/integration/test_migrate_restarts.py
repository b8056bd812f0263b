"""A server dies, in the middle of the copy or while following, comes back, and nothing is lost."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from naru.errors import ServerError
from naru.migrate.follow import catch_up
from naru.postgres import LocalServer, connect
from naru.system import wait_until
from tests import servers
from tests.migration import Case, case, found

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def pair(server_folder: Path) -> Iterator[tuple[LocalServer, LocalServer]]:
    """Two servers of our own, since they are going to be killed; durable ones."""
    with contextlib.ExitStack() as stack:
        yield (
            stack.enter_context(
                servers.make_server(
                    server_folder, "mortal-old", servers.old_installation(), fsync="on"
                )
            ),
            stack.enter_context(
                servers.make_server(
                    server_folder, "mortal-new", servers.new_installation(), fsync="on"
                )
            ),
        )


@pytest.fixture
def made(tmp_path: Path, pair: tuple[LocalServer, LocalServer]) -> Iterator[Case]:
    with case(tmp_path, *pair, "naru_restarts") as it:
        yield it


def _revive(server: LocalServer) -> None:
    """Start a killed server again; its last processes may need a moment to go."""
    server.stop(how=signal.SIGKILL)

    def starts() -> bool:
        try:
            server.start()
        except ServerError as error:
            if "shared memory" not in str(error):
                raise
            return False
        return True

    wait_until(starts, "the server to start again", 60)


def _ends_the_same(made: Case) -> None:
    with made.record() as record:
        catch_up(record)
        crossing = made.switcher(record).cross()
        assert crossing.verdict is not None
        assert crossing.verdict.same, found(crossing.verdict)


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_server_that_dies_in_the_middle_of_the_copy_is_told_and_start_goes_on(
    made: Case, side: str
) -> None:
    server = made.old if side == "source" else made.new
    done = made.command("migrate", "start", *made.uris(), where=f"postmaster {server.pid}")
    assert done.returncode in {3, 4}, done.stderr[-3000:]
    assert "Traceback" not in done.stderr
    assert f":{server.port}/" in done.stderr
    assert "→" in done.stderr
    _revive(server)
    again = made.command("migrate", "start", *made.uris())
    assert again.returncode == 0, again.stderr[-3000:]
    # A source that went down took the copy's snapshot with it; a target did not.
    assert ("no longer held" in again.stderr) == (side == "source"), again.stderr[-3000:]
    with made.record() as record:
        assert (record.batches == [1]) == (side == "target")
    _ends_the_same(made)


def test_servers_that_die_while_following_are_followed_again(made: Case) -> None:
    made.start()
    for server in (made.old, made.new):
        _revive(server)
        with connect(made.source, purpose="app") as source:
            source.execute("UPDATE users SET updated_at = now() WHERE id % 3 = 0")
    _ends_the_same(made)
