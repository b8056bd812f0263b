"""The base backups there are, as Barman notes them down."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from naru.errors import UsageError
from naru.postgres import Lsn

WHOLE = frozenset({"DONE", "WAITING_FOR_WALS"})
"""States of backups that can be restored; the second one's last WAL is just arriving."""


@dataclass(frozen=True)
class Backup:
    """A base backup. Times are aware; `size` is in bytes, without WAL."""

    id: str
    name: str | None
    status: str
    kind: str
    """`full` or `incremental`."""
    parent: str | None
    """What an incremental backup builds on."""
    timeline: int
    begin: datetime | None
    end: datetime | None
    begin_lsn: Lsn | None
    end_lsn: Lsn | None
    size: int
    segment_size: int
    error: str | None = None
    ends_on: int = 0
    """The timeline of its last WAL as Barman noted it; 0 where that is not known."""

    @property
    def whole(self) -> bool:
        """Whether it can be restored from, as far as it tells by itself."""
        done = self.status in WHOLE and self.end is not None and self.end_lsn is not None
        return done and not self.crossed

    @property
    def crossed(self) -> bool:
        """Another member took the lead while it was taken: where it ends is not known."""
        return self.ends_on not in (0, self.timeline)

    @property
    def state(self) -> str:
        """In words."""
        if self.crossed:
            return "of no use: the lead changed hands meanwhile"
        return self.status.lower()

    def to_json(self) -> dict[str, Any]:
        """The stable document of `naru service backups --json`."""
        return {
            "id": self.id,
            "name": self.name,
            "status": self.status,
            "kind": self.kind,
            "parent": self.parent,
            "timeline": self.timeline,
            "begin": self.begin.isoformat() if self.begin else None,
            "end": self.end.isoformat() if self.end else None,
            "begin_lsn": str(self.begin_lsn) if self.begin_lsn is not None else None,
            "end_lsn": str(self.end_lsn) if self.end_lsn is not None else None,
            "bytes": self.size,
            "error": self.error,
            "whole": self.whole,
        }


def read_catalogue(home: Path) -> tuple[Backup, ...]:
    """Every backup under Barman's folder of one server, oldest first, whatever its state."""
    found = {}
    for path in (*home.glob("base/*/backup.info"), *home.glob("meta/*-backup.info")):
        name = path.parent.name if path.parent.parent.name == "base" else path.name
        with contextlib.suppress(FileNotFoundError):  # one that is being deleted
            backup = parse_info(name.removesuffix("-backup.info"), path.read_text())
            found[backup.id] = backup
    return tuple(found[key] for key in sorted(found))


def parse_info(backup_id: str, text: str) -> Backup:
    """Read a `backup.info`: lines of `key=value`, `None` for what is not known yet."""
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    info = {key: value for key, _, value in pairs if value != "None"}
    parent = info.get("parent_backup_id")
    return Backup(
        id=backup_id,
        name=info.get("backup_name"),
        status=info.get("status", "EMPTY"),
        kind="incremental" if parent else "full",
        parent=parent,
        timeline=int(info.get("timeline", 0)),
        begin=_time(info.get("begin_time")),
        end=_time(info.get("end_time")),
        begin_lsn=_lsn(info.get("begin_xlog")),
        end_lsn=_lsn(info.get("end_xlog")),
        size=int(info.get("size", 0)),
        segment_size=int(info.get("xlog_segment_size", 16 * 2**20)),
        error=info.get("error"),
        ends_on=int(info.get("end_wal", "0")[:8], 16),
    )


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _lsn(text: str | None) -> Lsn | None:
    return Lsn.parse(text) if text else None


def find_backup(backups: Sequence[Backup], named: str) -> Backup:
    """The backup with this id or name. Raises UsageError, naming those there are."""
    for one in backups:
        if named in (one.id, one.name):
            return one
    there = ", ".join(one.id + (f" ({one.name})" if one.name else "") for one in backups)
    raise UsageError(f"no backup {named!r}", remedy=f"there are: {there or 'none'}")


def chain_of(backups: Sequence[Backup], leaf: Backup) -> tuple[Backup, ...]:
    """`leaf` and all that it builds on, the full one last."""
    by_id = {one.id: one for one in backups}
    chain = [leaf]
    while (parent := chain[-1].parent) is not None and parent in by_id:
        chain.append(by_id[parent])
    return tuple(chain)
