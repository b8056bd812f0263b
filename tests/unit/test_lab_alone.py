"""Two planned works never disturb each other: the second is refused, and told who is at it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from naru.errors import RefusedError, UsageError
from naru.ground import open_ground
from naru.lab.alone import alone_at_work
from naru.spec import Spec

_OTHER = """
import sys
from pathlib import Path
from naru.ground import open_ground
from naru.lab.alone import alone_at_work
from naru.spec import Spec
with alone_at_work(open_ground(Spec(), Path(sys.argv[1])), "switchover"):
    print("at work", flush=True)
    sys.stdin.readline()
"""


def test_the_second_is_refused_until_the_first_has_ended_or_died(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    ground = open_ground(Spec(), tmp_path)
    other = subprocess.Popen(
        [sys.executable, "-c", _OTHER, str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with other:
        assert other.stdout is not None
        assert other.stdout.readline() == "at work\n"
        with (
            pytest.raises(RefusedError, match=rf"switchover, begun at .* process {other.pid} is"),
            alone_at_work(ground, "restart"),
        ):
            pass
        other.kill()
    assert ground.account.uid == (tmp_path / "data" / "work.lock").stat().st_uid
    with alone_at_work(ground, "restart"):
        assert "restart, begun at" in (tmp_path / "data" / "work.lock").read_text()
    with alone_at_work(ground, "switchover"):
        assert f"process {os.getpid()}" in (tmp_path / "data" / "work.lock").read_text()


def test_where_there_is_no_environment_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no environment"):
        with alone_at_work(open_ground(Spec(), tmp_path), "drill kill-primary"):
            pass
