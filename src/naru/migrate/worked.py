"""How long a piece of work took, over all the processes that it took."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from naru.journal import Run
from naru.system import Observer

_EVERY: Final = 5.0
"""A process that is killed loses no more seconds than this."""


class Worked:
    """Seconds inside the block, added to those of earlier ones; kept in the journal."""

    def __init__(self, run: Run, key: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._run, self._key, self._clock = run, key, clock
        self._before = float(run.recall(key, 0.0))
        self._began = self._noted = clock()

    @property
    def seconds(self) -> float:
        return self._before + self._clock() - self._began

    def tick(self) -> None:
        """Called often while the work goes on."""
        if self._clock() - self._noted >= _EVERY:
            self._note()

    def _note(self) -> None:
        self._noted = self._clock()
        self._run.remember(self._key, self.seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._note()


class Ticking:
    """An observer that also lets the clock tick whenever it hears of progress."""

    def __init__(self, observer: Observer, worked: Worked) -> None:
        self._observer, self._worked = observer, worked

    def step(self, title: str, state: str) -> None:
        self._observer.step(title, state)

    def progress(
        self, what: str, done: int, total: int | None, unit: str, *, detail: str = ""
    ) -> None:
        self._worked.tick()
        self._observer.progress(what, done, total, unit, detail=detail)

    def note(self, text: str) -> None:
        self._observer.note(text)
