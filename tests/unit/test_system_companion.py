"""A second process: told, ready, dismissed, left, or alone because the first one died."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from naru.errors import ProcessError
from naru.system import Companion, arguments_of, companion, is_alive, wait_until

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _lives_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lives of these tests are in a module of the tests, and no companion looks around."""
    path = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", f"{path}{os.pathsep}{ROOT}" if path else str(ROOT))


def write_what_is_heard() -> None:
    """A life: note its own id, then what it hears, in the file that it is told of."""
    document = companion.told()
    path = Path(document["path"])
    path.write_text(f"{os.getpid()}\n")
    companion.ready()
    heard = companion.hear(60)
    path.write_text(heard)


def refuse() -> None:
    """A life that is over at once."""
    companion.told()
    companion.failed("the door is locked")


def test_a_dismissed_companion_has_ended_and_was_told_so(tmp_path: Path) -> None:
    path = tmp_path / "heard"
    with Companion(write_what_is_heard) as process:
        process.tell({"path": str(path), "secret": "s3cret"})
        process.await_ready()
        pid = int(path.read_text())
        assert is_alive(pid)
        assert "s3cret" not in " ".join(arguments_of(pid))
    assert not is_alive(pid)
    assert path.read_text() == "over"


def test_a_companion_that_is_left_hears_that_nobody_holds_the_pipe(tmp_path: Path) -> None:
    path = tmp_path / "heard"
    with Companion(write_what_is_heard) as process:
        process.tell({"path": str(path)})
        process.await_ready()
        process.leave()
    wait_until(lambda: path.read_text() == "gone", "the companion to hear", 30)


def test_a_companion_that_is_left_before_it_is_ready_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "heard"
    with Companion(write_what_is_heard) as process:
        process.tell({"path": str(path)})
        process.leave()
    wait_until(lambda: path.exists() and path.read_text() == "gone", "the companion to hear", 30)


def test_a_companion_outlives_a_process_that_is_killed_and_hears_of_it(tmp_path: Path) -> None:
    path = tmp_path / "heard"
    script = (
        "import os\n"
        "from naru.system import Companion\n"
        "from tests.unit.test_system_companion import write_what_is_heard\n"
        "process = Companion(write_what_is_heard)\n"
        f"process.tell({{'path': {str(path)!r}}})\n"
        "process.await_ready()\n"
        "os.kill(os.getpid(), 9)\n"
    )
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", script], timeout=60, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])},
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL
    wait_until(lambda: path.read_text() == "gone", "the companion to hear", 30)


def test_a_companion_that_cannot_do_its_task_says_why() -> None:
    with Companion(refuse) as process:
        process.tell({})
        with pytest.raises(ProcessError, match="the door is locked"):
            process.await_ready()


def test_a_companion_that_does_not_start_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    with Companion(refuse) as process:
        process.tell({})
        with pytest.raises(ProcessError, match="ended"):
            process.await_ready()


def test_a_companion_that_is_told_nothing_ends(tmp_path: Path) -> None:
    with Companion(write_what_is_heard):
        pass
    assert not list(tmp_path.iterdir())


def test_a_companion_takes_no_module_from_the_folder_that_it_was_started_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('a stranger')")
    monkeypatch.chdir(tmp_path)
    with Companion(write_what_is_heard) as process:
        process.tell({"path": str(tmp_path / "heard")})
        process.await_ready()
