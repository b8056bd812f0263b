"""A clock of its own for a member: libfaketime between its programs and the machine's clock.

Only the time of day is its own: durations are measured by clocks that no jump changes, as on
any host.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from naru.ground import Ground
from naru.service.layout import Layout, Node
from naru.service.parts import program_of
from naru.system import find_faketime, private_folder, write_atomically

_SLEEP = '''"""Sleep for a time, not until a moment, which libfaketime 0.9.10 refuses (EINVAL)."""

import select
import time

time.sleep = lambda seconds: select.select((), (), (), seconds) and None
'''


def put_off(ground: Ground, layout: Layout, member: str) -> None:
    """Restart a member so that `jump` can change its clock. Needs the library."""
    node, path = _node(layout, member), _offset(ground, member)
    _write(ground, path, 0)
    settings = _settings(ground, member)
    private_folder(settings, owner=ground.account)
    write_atomically(settings / "sitecustomize.py", _SLEEP, owner=ground.account)
    env = {
        "PYTHONPATH": str(settings),
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
    shutil.rmtree(_settings(ground, member), ignore_errors=True)


def _node(layout: Layout, member: str) -> Node:
    return next(one for one in layout.nodes if one.name == member)


def _offset(ground: Ground, member: str) -> Path:
    return ground.folder / "run" / f"{member}.clock"


def _settings(ground: Ground, member: str) -> Path:
    """What Python reads before the member's program, from PYTHONPATH."""
    return ground.folder / "run" / f"{member}.python"


def _write(ground: Ground, path: Path, seconds: int) -> None:
    write_atomically(path, f"{seconds:+d}\n", owner=ground.account)
