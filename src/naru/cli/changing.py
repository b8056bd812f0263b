"""What `naru up` is about to change, for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from naru.cli import talk
from naru.spec.changing import WORDS

if TYPE_CHECKING:
    from naru.ground import OpenSession
    from naru.service import ChangePlan, Window


def show_plan(plan: ChangePlan, window: Window | None, *, now: bool) -> None:
    """Key by key: old, new, what it does; and when members are restarted."""
    if not plan.changes and not plan.waiting:
        return
    width = max((len(one.key) for one in plan.changes), default=0)
    for one in plan.changes:
        given = f", given by {one.source}" if one.source else ""
        effect = "REFUSED" if one.refused else WORDS[one.effect]
        talk.say(f"{one.key:<{width}}  {one.old} → {one.new}  ({effect}{given})")
    for one in plan.refused:
        talk.say(f"refused: {one.key}: {one.refused}")
    if plan.refused:
        return
    if plan.restarts:
        talk.say(f"restart, one by one, for: {', '.join(plan.restarts)}")
        talk.say(when_restarts(window, now=now))


def show_outsiders(sessions: Sequence[OpenSession], *, keep: bool) -> None:
    """Who is connected from where naru.toml lets nobody in any more, and what becomes of them."""
    if not sessions:
        return
    from naru.lab.admitting import told

    fate = "they stay, as --keep-sessions says" if keep else "they end (--keep-sessions: they stay)"
    many = "1 session is" if len(sessions) == 1 else f"{len(sessions)} sessions are"
    talk.say(f"{many} open from addresses that are not let in: {told(sessions)}; {fate}")


def when_restarts(window: Window | None, *, now: bool) -> str:
    """When members are restarted for settings that need it."""
    here = datetime.now(UTC)
    if window is None:
        return "members are restarted now; clients of the pool wait for a moment, none fails"
    if now:
        return "members are restarted now, as --now says; clients of the pool wait for a moment"
    if window.is_open(here):
        return f"members are restarted now: the maintenance window is {window.sentence(here)}"
    return (
        f"members are restarted in the maintenance window, by themselves, {window.sentence(here)};"
        " `naru up --now` does it at once"
    )


def asks(plan: ChangePlan) -> bool:
    """Whether a person should agree: something that runs changes."""
    return bool(plan.restarts) or any(one.effect not in {"none", "members"} for one in plan.changes)
