"""A second process of ours, that goes on with its one task should the first one die.

It is told what to do on its standard input, so secrets stand in no argument list and no
file, and says when it is ready. The pipe stays open: the word `over` on it means that the
task is done with, its end without that word that the process which held it has died.
"""

from __future__ import annotations

import contextlib
import json
import select
import subprocess
import sys
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Final, Literal, Self

from naru.errors import ProcessError
from naru.system.processes import spawn

_OVER: Final = b"over\n"
_READY_SECONDS: Final = 60.0
_ENDS_SECONDS: Final = 10.0


class Companion:
    """The first process's end. Leaving the block dismisses the second, unless it was left."""

    def __init__(self, life: Callable[[], None]) -> None:
        """Start a process whose whole life is `life`, a function of a module."""
        module, name = life.__module__, life.__qualname__
        self._name = f"{module}.{name}"
        self._process = spawn(
            # -P: no module of the folder that the first one was started in.
            [sys.executable, "-P", "-c", f"from {module} import {name}; {name}()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            new_session=True,
        )

    def tell(self, document: Mapping[str, Any]) -> None:
        """Hand over what it has to know."""
        if self._process.stdin is None:
            raise ProcessError(f"{self._name} has no pipe")
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(document).encode() + b"\n")
            self._process.stdin.flush()

    def await_ready(self) -> None:
        """Wait until it stands by.

        Raises ProcessError if it does not get there, with the reason that it gave.
        """
        if self._process.stdout is None:
            raise ProcessError(f"{self._name} has no pipe")
        heard = b""
        if select.select([self._process.stdout], [], [], _READY_SECONDS)[0]:
            heard = self._process.stdout.readline()
        answer = json.loads(heard) if heard else {"failed": "it ended, or hangs"}
        if "failed" in answer:
            self._process.kill()
            raise ProcessError(str(answer["failed"]))

    def dismiss(self) -> None:
        """Tell it that all is over, and wait until it has ended; one that hangs is killed."""
        self._close(_OVER)
        try:
            self._process.wait(_ENDS_SECONDS)
        except subprocess.TimeoutExpired:
            # It was told that all is over; it must not act any more.
            self._process.kill()
            self._process.wait()

    def leave(self) -> None:
        """Let it live on by itself."""
        self._close(b"")

    def _close(self, word: bytes) -> None:
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is not None and not stdin.closed:
            with contextlib.suppress(BrokenPipeError):
                stdin.write(word)
                stdin.close()
        if stdout is not None:
            stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process.stdin is not None and not self._process.stdin.closed:
            self.dismiss()


def told() -> dict[str, Any]:
    """In the second process: what it has to know. Ends it quietly if nothing is said."""
    line = sys.stdin.buffer.readline()
    if not line.startswith(b"{"):
        sys.exit(0)
    return dict(json.loads(line))


def ready() -> None:
    """In the second process: say that it stands by; it does, also if the first one has died."""
    _say({})


def failed(why: str) -> None:
    """In the second process: say that it cannot do its task."""
    _say({"failed": why})


def _say(answer: dict[str, str]) -> None:
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def hear(seconds: float) -> Literal["over", "gone", "nothing"]:
    """In the second process: wait for the end of the task; `gone` if the first one died."""
    if not select.select([sys.stdin], [], [], seconds)[0]:
        return "nothing"
    return "over" if sys.stdin.buffer.readline() == _OVER else "gone"
