"""A command that is interrupted, or told to end, says how to go on and exits with 4."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

_SLEEPER = """
import importlib, sys, time
main = importlib.import_module("naru.cli.main")
@main.app.command()
def sleep() -> None:
    try:
        print("ready", flush=True)
        time.sleep(60)
    finally:
        print("cleaned up", flush=True)
sys.argv = ["naru", "sleep"]
main.main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_command_told_to_end_cleans_up_and_exits_with_4(number: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _SLEEPER],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (4, "cleaned up\n"), err
    assert "run the same command again" in err
    assert "Traceback" not in err
