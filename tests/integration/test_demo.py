"""The demo is played on a small database, and the whole of it holds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from naru.ground import state_folder

pytestmark = [pytest.mark.integration, pytest.mark.timeout(420)]

SPEC = """
[source]
scale = 0.05
"""

PLAY = """
import functools, sys
from naru.lab import demo
demo.SETTLE_SECONDS = 0.5  # nobody looks at the page's curves at rest
demo.Limits = functools.partial(demo.Limits, pause_seconds=60.0)  # nor at how long clients wait
from naru.cli import main
sys.argv = ["naru", "demo", "--json"]
main()
"""


@pytest.fixture(scope="module")
def played(server_folder: Path) -> subprocess.CompletedProcess[str]:
    folder = server_folder / "demo"
    folder.mkdir()
    (folder / "naru.toml").write_text(SPEC)
    done = subprocess.run(
        [sys.executable, "-c", PLAY],
        cwd=folder, capture_output=True, text=True, timeout=400, check=False,
        env={**os.environ, "NO_COLOR": "1"},
    )  # fmt: skip
    done.args = folder
    return done


def test_every_promise_but_time_holds(played: subprocess.CompletedProcess[str]) -> None:
    assert played.stdout, played.stderr[-4000:]
    told = json.loads(played.stdout)
    assert told["copy"]["tables"] >= 16, played.stderr[-4000:]
    cutover = told["cutover"]
    assert (cutover["client_errors"], cutover["lost"], cutover["duplicated"]) == (0, 0, 0)
    assert cutover["acknowledged"] > 500
    assert cutover["write_pause_ms"] > 0
    assert told["verification"]["differences"] == 0
    assert told["verification"]["rows"] > 100_000
    assert (told["failover"]["lost"], told["failover"]["duplicated"]) == (0, 0)
    assert told["failover"]["seconds"] > 0
    kinds = {event["kind"] for event in told["events"]}
    assert {"copy.begin", "cutover.pause", "cutover.resume", "drill.kill"} <= kinds


def test_the_page_and_the_figures_are_written(played: subprocess.CompletedProcess[str]) -> None:
    out = Path(played.args) / "out"
    assert json.loads((out / "report.json").read_text()) == json.loads(played.stdout)
    page = (out / "report.html").read_text()
    assert "creativity" in page
    assert "src=" not in page


def test_it_leaves_nothing_running_and_no_data(played: subprocess.CompletedProcess[str]) -> None:
    state = state_folder(Path(played.args) / "naru.toml") / "demo"
    assert not state.parent.exists()
    for proc in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = proc.read_bytes()
        except OSError:
            continue
        assert str(state).encode() not in words


def test_without_a_terminal_it_tells_plain_lines(played: subprocess.CompletedProcess[str]) -> None:
    assert "\x1b" not in played.stderr
    assert "exact comparison" in played.stderr
    assert "Traceback" not in played.stderr
