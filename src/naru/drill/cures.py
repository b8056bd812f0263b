"""How each kind of wound is healed; see `naru.drill.wounds`."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from naru.backup import Backups, Beside
from naru.drill import clock, deaf
from naru.drill.disk import SmallDisk
from naru.errors import ServerError, UnreachableError
from naru.ground import Reloadable, processes_of, show_new_certificates
from naru.service import Service, Standalone, beside_spec
from naru.system import wait_until

if TYPE_CHECKING:
    from naru.drill.stage import Stage

REBUILD_SECONDS = 60.0


def thaw(stage: Stage) -> None:
    """Let every process of the environment go on."""
    for pid in processes_of(stage.ground.folder):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def start(stage: Stage, program: str) -> None:
    """Have a program running that was kept away."""
    stage.ground.start(program)


def hear(stage: Stage) -> None:
    """Mend every line that was cut."""
    deaf.hear(processes_of(stage.ground.folder))


def put_back(stage: Stage, path: str, aside: str) -> None:
    """Bring back a file that was taken away."""
    if Path(aside).exists():
        Path(aside).replace(path)


def settle_settings(stage: Stage, document: str) -> None:
    """Give the cluster the settings that it had."""
    primary = stage.service.primary()
    stage.service.command(primary.name, "PUT", "/config", json.loads(document), seconds=10)


def take_instance_away(stage: Stage, name: str) -> None:
    """Remove an instance that was restored beside the service."""
    backups = Backups(stage.spec, stage.ground, stage.service)
    beside = Beside(stage.spec, stage.ground, stage.service, backups)
    if any(one.name == name for one in beside.list()):
        beside.remove(name)


def rebuild(stage: Stage, member: str) -> None:
    """Have a standby copied anew from the primary."""
    stage.ground.start(member)

    def accepted() -> bool:
        with contextlib.suppress(ServerError, UnreachableError):
            stage.service.command(
                member, "POST", "/reinitialize", {"force": True}, seconds=REBUILD_SECONDS
            )
            return True
        return False

    wait_until(accepted, f"{member} to be copied anew", REBUILD_SECONDS, every=0.5)


def take_disk_off(stage: Stage, member: str) -> None:
    """Bring a member's data back from a disk that was filled or slowed."""
    SmallDisk(stage.ground, member).take_off()


def set_clock_right(stage: Stage, member: str) -> None:
    """Have a member run by the machine's own clock."""
    clock.put_right(stage.ground, stage.service.layout, member)


def show_certificates(stage: Stage) -> None:
    """Have every server show the certificate that is on disk; no session ends."""
    spec, ground, service = stage.spec, stage.ground, stage.service
    restored = Beside(spec, ground, service, Backups(spec, ground, service))
    parts: list[Reloadable] = [Standalone(spec, ground), service, stage.pool, restored]
    if (other := beside_spec(spec, ground.folder)) is not None:
        parts.append(Service(other, ground))
    show_new_certificates(ground.certificates, parts)


def renew_certificates(stage: Stage) -> None:
    """Issue what is due anew, and have it shown."""
    stage.ground.certificates.ensure()
    show_certificates(stage)


_CURES: Mapping[str, Callable[..., None]] = {
    "frozen": thaw,
    "away": start,
    "cut": hear,
    "moved": put_back,
    "settings": settle_settings,
    "restored": take_instance_away,
    "damaged": rebuild,
    "disk": take_disk_off,
    "clock": set_clock_right,
    "certificates": renew_certificates,
}


def cures_on(stage: Stage) -> dict[str, Callable[..., None]]:
    """All cures, for one stage."""
    return {kind: partial(cure, stage) for kind, cure in _CURES.items()}
