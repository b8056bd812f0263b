"""Faults that a command of naru meets at a given place: it is killed, or its servers are."""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Callable

from naru.journal import Run
from naru.postgres import Connection


def happen(where: str) -> None:
    """Arrange that this process is killed at `where`; called in a process of its own.

    `step NAME` before a step, `slot` when the copy's slot is made, `schema` when rows can
    come, `held` when the copy's snapshot is in other hands, `part N` when N parts of the
    copy are done and one nearly, `index N` after N statements of the schema's build,
    `pause NAME` before a step of the pause, `committed` when a switch is decided and clients
    still wait. `postmaster PID` kills that server after some parts, `cut N` the copy's
    sessions on the target in part N, and both let naru live.
    """
    kind, _, value = where.partition(" ")
    if kind == "step":
        _kill_at_step(value)
    elif kind == "slot":
        _kill_after("naru.migrate.channel", "create_slot_with_snapshot")
    elif kind == "schema":
        _kill_after("naru.migrate.schema", "pre_data")
    elif kind == "held":
        _kill_after("naru.migrate.keeper", "_must_be_ready")
    elif kind == "part":
        _at_part(int(value) + 1, lambda _: _die())
    elif kind == "index":
        _kill_at_index(int(value))
    elif kind == "pause":
        _kill_in_pause(value)
    elif kind == "committed":
        _kill_when_committed()
    elif kind == "postmaster":
        _at_part(12, lambda _: os.kill(int(value), 9))
    elif kind == "cut":
        _at_part(int(value), _cut_off)


def cutting(part_bytes: int | None) -> None:
    """Let parts of the copy be as small as that, and few tables too small for it."""
    if part_bytes is not None:
        from naru.migrate import parts

        parts.PART_BYTES, parts.SMALL_BYTES = part_bytes, part_bytes // 4


def _kill_after(module: str, name: str) -> None:
    found = importlib.import_module(module)
    function = getattr(found, name)

    def dying(*args: object, **options: object) -> None:
        function(*args, **options)
        _die()

    setattr(found, name, dying)


def _die() -> None:
    os.kill(os.getpid(), 9)


def _kill_at_step(wanted: str) -> None:
    from naru.journal import steps

    def at_boundary(name: str) -> None:
        if name == wanted:
            _die()

    steps.at_boundary = at_boundary


def _at_part(count: int, act: Callable[[Connection], None]) -> None:
    from naru.migrate import ledger

    note, seen = ledger.note, [0]

    def counting(connection: Connection, *args: object) -> None:
        note(connection, *args)  # type: ignore[arg-type]
        seen[0] += 1
        if seen[0] == count:
            act(connection)

    ledger.note = counting  # type: ignore[assignment]


def _cut_off(connection: Connection) -> None:
    connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name LIKE 'naru: copy %'"
    )


def _kill_at_index(count: int) -> None:
    from naru.migrate.crew import Crew

    carry_out, seen = Crew._carry_out, [0]

    def counting(self: Crew, *args: object) -> object:
        seen[0] += 1
        if seen[0] > count:
            _die()
        return carry_out(self, *args)  # type: ignore[arg-type]

    Crew._carry_out = counting  # type: ignore[method-assign, assignment]


def _kill_in_pause(name: str) -> None:
    from naru.migrate.switch import Stopwatch

    call = Stopwatch.__call__

    def dying(self: Stopwatch, step: str) -> contextlib.AbstractContextManager[None]:
        if step == name:
            _die()
        return call(self, step)

    Stopwatch.__call__ = dying  # type: ignore[method-assign, assignment]


def _kill_when_committed() -> None:
    from naru.migrate import outcome
    from naru.migrate.plan import SwitchPlan

    def dying(plan: SwitchPlan, run: Run) -> float:
        _die()
        return 0.0

    outcome.let_go = dying
