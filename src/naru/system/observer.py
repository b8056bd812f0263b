"""What long work tells whoever watches it. The core calls, front ends draw."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Protocol


class Observer(Protocol):
    """Hears of steps, progress and notes. Implementations must be safe from several threads."""

    def step(self, title: str, state: str) -> None:
        """A step of the work changed state: `running`, `done`, `skipped` or `failed`."""

    def progress(
        self, what: str, done: int, total: int | None, unit: str, *, detail: str = ""
    ) -> None:
        """`what` has got to `done` of `total` (None: unknown); unit `rows`, `bytes`, `items`.

        Called often; rate and time left are the front end's to work out. `done == total`
        ends this line of progress.
        """

    def note(self, text: str) -> None:
        """One line that people should read now."""


class WorkloadObserver(Observer, Protocol):
    """An observer that also shows how clients fare meanwhile."""

    def workload(self, *, tps: float, p95_ms: float, errors: int) -> None:
        """Commits a second, latency, and errors so far. Called about once a second."""


class Silent:
    """An observer that draws nothing."""

    def step(self, title: str, state: str) -> None: ...

    def progress(
        self, what: str, done: int, total: int | None, unit: str, *, detail: str = ""
    ) -> None: ...

    def note(self, text: str) -> None: ...

    def workload(self, *, tps: float, p95_ms: float, errors: int) -> None: ...


SILENT = Silent()


@contextlib.contextmanager
def step(observer: Observer, title: str) -> Iterator[None]:
    """Tell that a step runs while the block does, and how it ended."""
    observer.step(title, "running")
    try:
        yield
    except BaseException:
        observer.step(title, "failed")
        raise
    observer.step(title, "done")
