"""A clock of its own for a member: libfaketime between its programs and the machine's clock."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from naru.ground import Ground
from naru.service.layout import Layout, Node
from naru.service.parts import program_of
from naru.system import find_faketime, write_atomically


def put_off(ground: Ground, layout: Layout, member: str) -> None:
    """Restart a member so that `jump` can change its clock. Needs the library."""
    node, path = _node(layout, member), _offset(ground, member)
    _write(ground, path, 0)
    # Durations are measured by a clock that no jump changes, as on any host.
    env = {
        "LD_PRELOAD": str(find_faketime()),
        "FAKETIME_TIMESTAMP_FILE": str(path),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }
    ground.place(replace(program_of(ground, node), env=env))


def jump(ground: Ground, member: str, seconds: int) -> None:
    """Let the member's clock be wrong by so much, within a second."""
    _write(ground, _offset(ground, member), seconds)


def put_right(ground: Ground, layout: Layout, member: str) -> None:
    """Restart the member by the machine's clock. Harmless when it runs by that."""
    _write(ground, _offset(ground, member), 0)
    ground.place(program_of(ground, _node(layout, member)))


def _node(layout: Layout, member: str) -> Node:
    return next(one for one in layout.nodes if one.name == member)


def _offset(ground: Ground, member: str) -> Path:
    return ground.folder / "run" / f"{member}.clock"


def _write(ground: Ground, path: Path, seconds: int) -> None:
    write_atomically(path, f"{seconds:+d}\n", owner=ground.account)
