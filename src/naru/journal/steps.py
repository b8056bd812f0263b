"""Long work as named steps whose state outlives the process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from naru.journal.store import Run


@dataclass(frozen=True)
class Step:
    """One named step. `act` must be safe to run again after a crash at any point in it."""

    name: str
    title: str
    act: Callable[[], None]


def perform(
    run: Run, steps: Sequence[Step], *, tell: Callable[[Step, str], None] | None = None
) -> None:
    """Run the steps that are not done yet, in order, each noted in the journal.

    `tell(step, state)` hears `skipped`, `running`, `done` and `failed`. An error is noted
    and passes through; the same call later goes on with the step that failed.
    """
    for step in steps:
        at_boundary(step.name)
        if run.is_done(step.name):
            _tell(tell, step, "skipped")
            continue
        run.mark(step.name, "running")
        run.event("step.running", step.title, step=step.name)
        _tell(tell, step, "running")
        try:
            step.act()
        except BaseException as error:
            run.mark(step.name, "failed")
            run.event("step.failed", f"{step.title}: {error}", step=step.name)
            _tell(tell, step, "failed")
            raise
        run.mark(step.name, "done")
        run.event("step.done", step.title, step=step.name)
        _tell(tell, step, "done")


def at_boundary(name: str) -> None:
    """Called before each step. Tests replace it, to end the process at every boundary."""


def _tell(tell: Callable[[Step, str], None] | None, step: Step, state: str) -> None:
    if tell is not None:
        tell(step, state)
