"""The guard: a second process that lets the clients go on if the first one dies.

While clients are held, `kill -9` of naru must not leave them waiting. The guard is told
the plan on its standard input before the pause, and waits. When that pipe closes without
the word `over`, it reads the journal: a committed switch is completed, any other undone.
Secrets come through the pipe only.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from naru.errors import NaruError, ProcessError
from naru.journal import Journal, Run
from naru.migrate.channel import Channel
from naru.migrate.hold import sole
from naru.migrate.outcome import complete, undo
from naru.migrate.plan import SWITCH, PooledDatabase, SwitchPlan
from naru.migrate.sides import Side
from naru.system import Companion, companion
from naru.traffic import PgBouncer

_MARGIN_SECONDS = 30.0
"""Beyond the pause's own deadline, after which a hanging naru is taken for dead."""

_TURN_SECONDS = 600.0
"""How long to wait for a command that came first: it puts the switch right itself."""


@contextlib.contextmanager
def guarded(plan: SwitchPlan, run: Run) -> Iterator[None]:
    """Hold a guard over the block.

    It acts if this process dies or hangs inside, and if the block fails or is interrupted once
    the switch is committed.
    """
    with Companion(watch) as process:
        try:
            process.tell({"parent": os.getpid(), **_to_json(plan, run)})
            process.await_ready()
        except ProcessError as error:
            undo(plan, run)  # the way back that was armed; clients were not held yet
            raise NaruError(
                "the guard of the switch did not start; clients were not held, nothing has changed",
                remedy="see `naru doctor`, and run the same command again",
            ) from error
        try:
            yield
        except BaseException:
            if _is_committed(run):
                process.leave()
            raise


def _is_committed(run: Run) -> bool:
    """True if clients have to go on at the side entered, and it is not done. Where the journal
    cannot be read the guard may see to it."""
    try:
        return (run.recall(SWITCH) or {}).get("phase") == "committed"
    except NaruError:
        return True


def _to_json(plan: SwitchPlan, run: Run) -> dict[str, Any]:
    return {
        "journal": str(run.journal.path),
        "run": run.number,
        "number": plan.number,
        "leave": plan.leave.to_json(),
        "enter": plan.enter.to_json(),
        "forward": [one.name for one in plan.forward],
        "back": plan.back.name,
        "pause_seconds": plan.pause_seconds,
        "poolers": [
            {**pooled.pooler.to_json(), "for": pooled.database}
            for pooled in plan.poolers
            if isinstance(pooled.pooler, PgBouncer)
        ],
    }


def _plan(document: dict[str, Any]) -> SwitchPlan:
    leave, enter = Side.from_json(document["leave"]), Side.from_json(document["enter"])
    return SwitchPlan(
        number=document["number"],
        leave=leave,
        enter=enter,
        forward=tuple(Channel(name, leave, enter) for name in document["forward"]),
        back=Channel(document["back"], enter, leave),
        poolers=tuple(
            PooledDatabase(PgBouncer.from_json(one), one["for"]) for one in document["poolers"]
        ),
        pause_seconds=document["pause_seconds"],
    )


def watch() -> None:
    """The guard's whole life: read the plan, wait for the end, act if it was a bad one."""
    document = companion.told()
    plan = _plan(document)
    companion.ready()
    heard = companion.hear(plan.pause_seconds + _MARGIN_SECONDS)
    if heard == "over":
        return
    if heard == "nothing":
        with contextlib.suppress(ProcessLookupError):
            os.kill(document["parent"], signal.SIGKILL)
    path = Path(document["journal"])
    with Journal(path) as journal:
        run = Run(journal, document["run"])
        try:
            with sole(path.parent, run.name, _TURN_SECONDS):
                resolve(plan, run)
        except Exception as error:
            # Nobody reads this process's output; the journal is where it will be looked for.
            run.event("guard.failed", f"{type(error).__name__}: {error}")
            raise


def resolve(plan: SwitchPlan, run: Run) -> str:
    """Bring a switch whose process died to one of its two ends; give which.

    `none` if no switch was in hand, `completed` if it was committed, else `undone`.
    """
    record = run.recall(SWITCH)
    if record is None or record["number"] != plan.number:
        return "none"
    if record["phase"] == "committed":
        complete(plan, run)
        return "completed"
    undo(plan, run)
    return "undone"
