"""All databases of the service move to the other cluster, one after the other."""

from __future__ import annotations

from collections.abc import Callable

from naru.migrate import Crossed, Limits, Switcher, cross_all
from naru.system import Observer
from naru.upgrade.sides import End, Sides


def cross_to(
    sides: Sides,
    to: End,
    limits: Limits,
    observer: Observer,
    *,
    verify: bool,
    jobs: int,
    after: Callable[[], None],
    keep: Callable[[Crossed], None],
) -> tuple[Crossed, ...]:
    """Move what is not at `to` yet, as `naru.migrate.cross_all` says."""
    side = "target" if to == "new" else "source"
    todo = [one for one in sides.databases if sides.record(one).at != side]
    switchers = [(one, _switcher(sides, one, limits, observer)) for one in todo]
    return cross_all(switchers, verify=verify, jobs=jobs, keep=keep, after=after)


def _switcher(sides: Sides, database: str, limits: Limits, observer: Observer) -> Switcher:
    return Switcher(
        sides.record(database), sides.pooled(database), limits, observer,
        keeps_slot=sides.service("new").keep_slot,
    )  # fmt: skip
