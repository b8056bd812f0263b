"""Planned work in the environment's journal: what was done, when, by whom, and how it ended."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from naru.journal import Journal, Run
from naru.system import operator

KIND = "service"
BY = "by"


@contextlib.contextmanager
def noted(folder: Path, what: str) -> Iterator[Run]:
    """A run of the journal in `folder` for work on the service; it ends `done` or `failed`."""
    with Journal.in_folder(folder) as journal:
        run = journal.begin(KIND, what)
        run.remember(BY, operator())
        outcome = "failed"
        try:
            yield run
            outcome = "done"
        finally:
            run.end(outcome)


def note(folder: Path, what: str, kind: str, text: str, **data: Any) -> None:
    """Write down work that is done: `kind` as `room.what`, `text` for people."""
    with noted(folder, what) as run:
        run.event(kind, text, **data)
