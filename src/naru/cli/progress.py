"""What long work looks like: living lines on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import sys
from typing import Protocol, Self, TextIO

from rich.console import Console

from naru.cli import talk
from naru.cli._lines import LineObserver
from naru.cli._screen import RichObserver
from naru.system import WorkloadObserver

__all__ = ["LineObserver", "RichObserver", "Watcher", "observer_for"]


class Watcher(WorkloadObserver, Protocol):
    """An observer that is closed at the end."""

    def close(self) -> None:
        """Stop drawing; harmless when called again."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


def observer_for(stream: TextIO | None = None) -> Watcher:
    """The observer that suits `stream` (stderr): living lines if it is a terminal.

    NO_COLOR is respected; TERM=dumb and streams that cannot carry our signs get plain lines.
    """
    if stream is None or stream is sys.stderr:
        console, stream = talk.people, sys.stderr
    else:
        console = Console(file=stream, highlight=False, soft_wrap=True)
    if console.is_terminal and not console.is_dumb_terminal and _carries_signs(stream):
        return RichObserver(console)
    return LineObserver(stream)


def _carries_signs(stream: TextIO) -> bool:
    encoding = getattr(stream, "encoding", None) or os.device_encoding(2) or "ascii"
    try:
        "✓━⠋▁".encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True
