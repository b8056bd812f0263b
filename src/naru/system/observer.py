"""What long work tells whoever watches it. The core calls, front ends draw."""

from __future__ import annotations

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


class Silent:
    """An observer that draws nothing."""

    def step(self, title: str, state: str) -> None: ...

    def progress(
        self, what: str, done: int, total: int | None, unit: str, *, detail: str = ""
    ) -> None: ...

    def note(self, text: str) -> None: ...


SILENT = Silent()
