"""Locks on files: one holder, seen by others, freed when the holder dies."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from naru.errors import DeadlineError
from naru.system import is_locked, locked, wait_until


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert not is_locked(path)
    with locked(path, "the lock", 1):
        assert is_locked(path)
        with pytest.raises(DeadlineError, match="the lock"), locked(path, "the lock", 0.1):
            pass
    assert not is_locked(path)
    with locked(path, "the lock", 1):
        assert is_locked(path)


def test_looking_does_not_keep_others_from_taking_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch()
    for _ in range(100):
        assert not is_locked(path)
    with locked(path, "the lock", 5):
        pass


def test_a_holder_that_is_killed_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom naru.system import locked\n"
        "with locked(Path(sys.argv[1]), 'the lock', 5):\n    print('held', flush=True)\n"
        "    time.sleep(600)\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, env=dict(os.environ)
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert is_locked(path)
    finally:
        holder.kill()
        holder.wait()
    wait_until(lambda: not is_locked(path), "the lock to be free", 10)
