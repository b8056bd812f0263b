"""`naru` as a process of its own, again and again, without the time that Python takes to import it.

A first process has everything imported. It forks for each command, and the fork becomes it.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import select
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, cast

_MODULES = (
    "naru.cli.main", "naru.cli.progress", "naru.migrate", "naru.journal", "naru.lab", "naru.report",
    "tests.faults",
)  # fmt: skip
"""What commands import when they run."""

_LONGEST = 1 << 17
"""Bytes of a request; the environment is in it."""


def run_naru(
    words: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    where: str = "",
    part_bytes: int | None = None,
    seconds: float = 240,
) -> subprocess.CompletedProcess[str]:
    """Run `naru` to its end in `cwd`, with a fault of `tests.faults` at `where`.

    `env` is added to the environment. Raises subprocess.TimeoutExpired.
    """
    request = {
        "words": list(words), "cwd": str(cwd), "env": {**os.environ, **env},
        "where": where, "part_bytes": part_bytes,
    }  # fmt: skip
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        code = _first().run(request, [out.fileno(), err.fileno()], seconds)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode())
    return subprocess.CompletedProcess(["naru", *words], code, *texts)


class _First:
    """The process that forks, and the line to it."""

    def __init__(self) -> None:
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-c", "from tests.commands import serve; serve()"],
                cwd=Path(__file__).parents[1],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
            )

    def run(self, request: Mapping[str, Any], files: list[int], seconds: float) -> int:
        """The exit code of a command that writes to `files`."""
        socket.send_fds(self._line, [json.dumps(request).encode()], files)
        pid = self._hear(60)
        if not select.select([self._line], [], [], seconds)[0]:
            os.kill(pid, 9)
            self._hear(60)
            raise subprocess.TimeoutExpired(["naru", *request["words"]], seconds)
        return self._hear(60)

    def _hear(self, seconds: float) -> int:
        self._line.settimeout(seconds)
        heard = self._line.recv(100)
        assert heard, "what forks commands has ended"
        return int(heard)


@cache
def _first() -> _First:
    return _First()


def serve() -> None:
    """The first process's whole life, and that of each command."""
    for name in _MODULES:
        importlib.import_module(name)
    with socket.socket(fileno=0) as line:
        request, files = _next(line)
        while request is not None:
            pid = os.fork()
            if pid == 0:
                break
            for one in files:
                os.close(one)
            line.send(str(pid).encode())
            line.send(str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])).encode())
            request, files = _next(line)
    if request is not None:
        _become(request, files)


def _next(line: socket.socket) -> tuple[dict[str, Any] | None, list[int]]:
    """The next command with its files; None when nobody asks any more."""
    message, files, _, _ = socket.recv_fds(line, _LONGEST, 2)
    return (cast("dict[str, Any]", json.loads(message)) if message else None), files


def _become(request: Mapping[str, Any], files: list[int]) -> None:
    """Be the command, in its place, with its files."""
    from naru.cli import main
    from tests import faults

    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, one in enumerate((nothing, *files)):
        os.dup2(one, number)
        if one > 2:
            os.close(one)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    random.seed()
    faults.cutting(request["part_bytes"])
    faults.happen(request["where"])
    sys.argv = ["naru", *request["words"]]
    main()
