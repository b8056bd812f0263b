"""What a drill needs besides a whole service."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from naru.drill import deaf
from naru.drill.stage import Stage
from naru.system import find_faketime


@dataclass(frozen=True)
class Need:
    """Something that is there or not; where it is not, the drill is left out."""

    words: str
    met: Callable[[Stage], bool]


BACKUPS = Need("backups (backup.enabled)", lambda stage: stage.spec.backup.enabled)
ROOT = Need("root", lambda _: os.geteuid() == 0)
CUT_LINES = Need("root, or the right to trace one's own processes", lambda _: deaf.possible())
THREE_ETCD = Need(
    "three etcd (service.etcd_members)", lambda stage: len(stage.service.layout.etcd) >= 3
)
THREE_MEMBERS = Need(
    "three members (service.members)", lambda stage: len(stage.service.layout.nodes) >= 3
)
FAKETIME = Need("libfaketime (apt-get install libfaketime)", lambda _: find_faketime() is not None)
