"""The service made whole again, whatever a drill, or one that was killed, has left behind."""

from __future__ import annotations

from naru.drill.stage import Stage
from naru.drill.strike import is_whole
from naru.errors import DeadlineError
from naru.system import wait_until

_PATIENCE_SECONDS = 60.0


def heal_leftovers(stage: Stage) -> None:
    """Undo what a drill that was killed has noted and not undone."""
    wounds = stage.wounds.open()
    if wounds:
        names = ", ".join(" ".join(one) for one in wounds)
        stage.observer.note(f"an earlier drill did not end; undoing: {names}")
        stage.wounds.heal()


def mend(stage: Stage) -> None:
    """Undo what is noted; when that does not make the service whole, bring it up anew.

    Raises DeadlineError when it stays broken.
    """
    stage.wounds.heal()
    try:
        _wait_until_whole(stage)
    except DeadlineError:
        stage.observer.note("the service is not whole: bringing it up")
        stage.service.up(stage.observer)
        _wait_until_whole(stage)


def _wait_until_whole(stage: Stage) -> None:
    wait_until(
        lambda: is_whole(stage.service.status()),
        "the service to be whole again",
        _PATIENCE_SECONDS,
        every=0.5,
    )
