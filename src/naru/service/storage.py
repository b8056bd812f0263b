"""The guard of the data's size: its program on the ground, and what it found."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from naru.ground import Ground, Program, reading
from naru.postgres import Dsn
from naru.service import storage_program
from naru.service.layout import REST_USER, SUPERUSER, Layout
from naru.spec import Spec
from naru.system import write_atomically

PROGRAM = "storage"
_STALE_SECONDS = 60.0


@dataclass(frozen=True)
class Storage:
    """How full the members are, as the guard saw them last."""

    level: str
    """`fine`, `notice`, `warning`, `read-only`, or `unknown` when the guard does not report."""
    limit: int
    """What a member may hold, in bytes."""
    share: float
    """Of the fullest member, from 0 to 1."""
    member: str | None
    """The fullest one."""
    read_only: bool
    """Clients may only read."""
    used: Mapping[str, int]
    """Bytes by member."""
    at: float
    """When it looked, since the epoch."""

    @property
    def sentence(self) -> str:
        """What it comes to."""
        if self.level == "unknown":
            return "storage: the guard of the data's size does not report"
        held = self.used.get(self.member or "", 0)
        text = (
            f"storage: {held / 2**30:.2f} of {self.limit / 2**30:g} GB at {self.member},"
            f" {self.share:.0%}"
        )
        return text + _MEANS[self.level]

    def to_json(self) -> dict[str, Any]:
        """The part `storage` of `naru service status --json`."""
        return {
            "level": self.level, "limit": self.limit, "share": round(self.share, 4),
            "member": self.member, "read_only": self.read_only, "used": dict(self.used),
            "at": self.at,
        }  # fmt: skip


_MEANS = {
    "fine": "",
    "notice": "; make room, or raise service.data_gb",
    "warning": "; from 95 % on clients can only read: make room, or raise service.data_gb",
    "read-only": ": CLIENTS CAN ONLY READ until it is below 90 %; a superuser, or a session after"
    " SET default_transaction_read_only = off, can delete",
}


def read_storage(ground: Ground, now: float | None = None) -> Storage | None:
    """What the guard found last; None before it has looked for the first time."""
    try:
        found = json.loads(_state(ground).read_text())
    except (OSError, ValueError):
        return None
    stale = (time.time() if now is None else now) - found["at"] > _STALE_SECONDS
    return Storage(
        level="unknown" if stale else found["level"],
        limit=found["limit"],
        share=found["share"],
        member=found["member"],
        read_only=found["read_only"],
        used={one["name"]: one["used"] for one in found["members"]},
        at=found["at"],
    )


def place_storage_guard(spec: Spec, ground: Ground, layout: Layout, writer: Dsn) -> None:
    """Have the guard running with what holds now."""
    conf = ground.folder / "conf"
    program = conf / "storage.py"
    source = Path(storage_program.__file__).read_text()
    _write(ground, program, source)
    text = json.dumps(_settings(spec, ground, layout, writer), indent=2) + "\n"
    settings = conf / "storage.json"
    _write(ground, settings, text)
    ground.place(
        Program(
            PROGRAM,
            spec.service.host,
            (str(ground.python), str(program), str(settings)),
            env=reading(source, text),
            priority=600,
            stop_seconds=15,
        )
    )


def _settings(spec: Spec, ground: Ground, layout: Layout, writer: Dsn) -> dict[str, Any]:
    return {
        "limit": int(spec.service.data_gb * 2**30),
        "members": _members(layout),
        "rest_user": REST_USER,
        "rest_password": str(ground.folder / "secrets" / "service-rest"),
        "superuser": SUPERUSER,
        "conninfo": writer.conninfo(),
        "state": str(_state(ground)),
        "authority": str(layout.authority),
    }


def _members(layout: Layout) -> Sequence[Mapping[str, Any]]:
    return [
        {
            "name": node.name,
            "data": str(node.data),
            "address": node.address,
            "rest_port": node.rest_port,
        }
        for node in layout.nodes
    ]


def _state(ground: Ground) -> Path:
    return ground.folder / "run" / "storage.json"


def _write(ground: Ground, path: Path, text: str) -> None:
    write_atomically(path, text, mode=0o600, owner=ground.account)
