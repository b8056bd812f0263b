"""Planned work in the environment's journal: what was done, when, by whom, and how it ended."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from naru.errors import NaruError
from naru.ground import Certificate, Certificates
from naru.journal import FILE, Journal, Run
from naru.service import ChangePlan
from naru.system import operator

KIND = "service"
BY = "by"


@contextlib.contextmanager
def noted(folder: Path, what: str) -> Iterator[Run]:
    """A run of the journal in `folder` for work on the service; it ends `done` or `failed`."""
    with Journal.in_folder(folder) as journal:
        run = begin(journal, what)
        outcome = "failed"
        try:
            yield run
            outcome = "done"
        except NaruError as error:
            run.event("service.failed", error.message.splitlines()[0])
            raise
        finally:
            run.end(outcome)


def begin(journal: Journal, what: str) -> Run:
    """A run for work on the service, which says who asked for it."""
    run = journal.begin(KIND, what)
    run.remember(BY, operator())
    return run


def note(folder: Path, what: str, kind: str, text: str, **data: Any) -> None:
    """Write down work that is done: `kind` as `room.what`, `text` for people."""
    with noted(folder, what) as run:
        run.event(kind, text, **data)


def migrations_under_way(folder: Path) -> tuple[str, ...]:
    """Migrations and upgrades of the journal in `folder` that are neither finished nor aborted."""
    if not (folder / FILE).exists():
        return ()
    with Journal.in_folder(folder) as journal:
        runs = [one for one in journal.runs() if one.kind in {"migrate", "upgrade"}]
        return tuple(one.name for one in runs if one.ended is None)


def note_changes(folder: Path, plan: ChangePlan) -> None:
    """Write down what a changed naru.toml brought into force; passwords are never in a plan."""
    # Who belongs is not changed by `up`.
    changes = [one for one in plan.changes if one.effect != "members"]
    if not changes:
        return
    with noted(folder, "up") as run:
        for one in changes:
            run.event(
                "spec.changed", f"{one.key}: {one.old} → {one.new}",
                key=one.key, old=one.old, new=one.new,
            )  # fmt: skip


@contextlib.contextmanager
def issues_noted(folder: Path, certificates: Certificates) -> Iterator[None]:
    """Write down which certificates are issued meanwhile, until when they hold, and whether all
    that uses them took them."""
    before = {one.serial for one in certificates.list()}
    outcome = "failed"
    try:
        yield
        outcome = "done"
    finally:
        issued = [one for one in certificates.list() if one.serial not in before]
        if issued:
            _note_issued(folder, issued, outcome)


def _note_issued(folder: Path, issued: list[Certificate], outcome: str) -> None:
    with Journal.in_folder(folder) as journal:
        run = begin(journal, "certificates")
        for one in issued:
            run.event(
                "certificates.issued", f"{one.name} until {one.ends:%Y-%m-%d}",
                name=one.name, used_by=one.used_by, until=one.ends.isoformat(), serial=one.serial,
            )  # fmt: skip
        run.end(outcome)
