"""A test run that is killed leaves servers and commands behind, and the next run ends them."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from naru.ground.processes import name_of
from tests import servers

pytestmark = pytest.mark.integration

_RUN = """
import os, subprocess
from tests import servers
with servers.session_folder() as folder:
    server = servers.make_server(folder, "left", servers.new_installation())
    server.start()
    subprocess.Popen(["sleep", "600"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    print(folder, flush=True)
    os.kill(os.getpid(), 9)
"""


def test_what_a_killed_run_has_left_is_ended_and_removed_by_the_next() -> None:
    died = subprocess.run(
        [sys.executable, "-c", _RUN], cwd=Path(__file__).parents[2],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert died.returncode == -signal.SIGKILL, died.stderr
    folder = Path(died.stdout.strip())
    names = {name_of(one) for one in servers.started_by(folder)}
    assert names >= {"postgres", "sleep"}
    servers.reap()
    assert list(servers.started_by(folder)) == []
    assert not folder.exists()
