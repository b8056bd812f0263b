"""Which members were fenced of late: what the guardian and the watchdogs have written down."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from naru.ground import Ground
from naru.service.host_programs import GUARDIAN
from naru.service.layout import Layout

RECENT_SECONDS = 3600.0
_TAIL = 256 * 1024
_MOMENT = "%Y-%m-%d %H:%M:%S"
_FENCED = re.compile(r"^(\S+ \S+) (\S+): fenced in", re.MULTILINE)
_KILLED = re.compile(r"^(\S+ \S+) watchdog: the lease", re.MULTILINE)


@dataclass(frozen=True)
class Fenced:
    """A member whose server was killed so that no other could lead beside it."""

    member: str
    at: float
    """Since the epoch."""
    by: str
    """`the guardian` or `its watchdog`."""


def fenced_lately(
    ground: Ground, layout: Layout, *, now: float | None = None
) -> tuple[Fenced, ...]:
    """Those of the last hour, the newest last."""
    begin = (time.time() if now is None else now) - RECENT_SECONDS
    names = {node.name for node in layout.nodes}
    found = [one for one in read_guardian(_end_of(ground.log(GUARDIAN))) if one.member in names]
    for name in names:
        found += read_watchdog(name, _end_of(ground.log(name)))
    return tuple(sorted((one for one in found if one.at >= begin), key=lambda one: one.at))


def read_guardian(text: str) -> Iterator[Fenced]:
    """From the guardian's log."""
    for at, member in _FENCED.findall(text):
        yield from _noted(member, at, "the guardian")


def read_watchdog(member: str, text: str) -> Iterator[Fenced]:
    """From a member's log, where its watchdog writes too."""
    for at in _KILLED.findall(text):
        yield from _noted(member, at, "its watchdog")


def _noted(member: str, at: str, by: str) -> Iterator[Fenced]:
    with contextlib.suppress(ValueError):
        yield Fenced(member, time.mktime(time.strptime(at, _MOMENT)), by)


def _end_of(log: Path) -> str:
    with contextlib.suppress(OSError), log.open("rb") as file:
        file.seek(0, 2)
        file.seek(max(0, file.tell() - _TAIL))
        return file.read().decode(errors="replace")
    return ""
