"""Planned work of a running environment, in its journal."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from naru.journal import Run
    from naru.lab.environment import Environment
    from naru.system import Observer


@contextlib.contextmanager
def noted(
    environment: Environment, what: str, *, alone: bool = False
) -> Iterator[tuple[Run, Observer]]:
    """A run in the journal for planned work, with who asked for it and how it ended.

    `alone`: it changes who leads, or who runs. Raises RefusedError while another such work is
    under way.
    """
    from naru.cli.progress import observer_for
    from naru.lab import noting
    from naru.lab.alone import alone_at_work

    turn = alone_at_work(environment.ground, what) if alone else contextlib.nullcontext()
    with turn, noting.noted(environment.ground.folder, what) as run, observer_for() as observer:
        yield run, observer
