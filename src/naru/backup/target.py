"""A point in time to go back to, and what PostgreSQL makes of it."""

from __future__ import annotations

import re
import zoneinfo
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from naru.errors import UsageError
from naru.postgres import Lsn

Kind = Literal["time", "lsn", "name", "xid", "latest"]


@dataclass(frozen=True)
class Target:
    """Where recovery stops. `inclusive`: what stands exactly there still counts."""

    kind: Kind
    value: str = ""
    """As PostgreSQL reads it; times in ISO format with their offset."""
    inclusive: bool = True

    @property
    def at(self) -> datetime:
        """The moment, of a target of kind `time`."""
        return datetime.fromisoformat(self.value)

    @property
    def lsn(self) -> Lsn:
        """The position, of a target of kind `lsn`."""
        return Lsn.parse(self.value)

    @property
    def sentence(self) -> str:
        """What will be there afterwards, to the transaction."""
        if self.kind == "time":
            edge = "up to and including" if self.inclusive else "before, and not at,"
            return f"every transaction committed {edge} {self.value}"
        if self.kind == "lsn":
            edge = "up to and including the record at" if self.inclusive else "before the record at"
            return f"all WAL {edge} {self.value}"
        if self.kind == "xid":
            edge = "and itself" if self.inclusive else "and not itself"
            return f"every transaction committed before transaction {self.value}, {edge}"
        if self.kind == "name":
            return f"every transaction committed before the restore point {self.value}"
        return "every transaction that has reached the backup host"

    def words(self) -> list[str]:
        """Barman's options for it."""
        if self.kind == "latest":
            return []
        exclusive = [] if self.inclusive or self.kind == "name" else ["--exclusive"]
        return [f"--target-{self.kind}", self.value, *exclusive]


LATEST = Target("latest")


def target_of(
    *,
    time: str | None = None,
    lsn: str | None = None,
    name: str | None = None,
    before_xid: str | None = None,
    latest: bool = False,
    exclusive: bool = False,
    zone: str = "UTC",
) -> Target:
    """The one target that was given; a time without an offset is in `zone`.

    A time and a position count themselves in, as in PostgreSQL, unless `exclusive`; a
    transaction id does not. Raises UsageError for none, or more than one.
    """
    given = [time is not None, lsn is not None, name is not None, before_xid is not None, latest]
    if sum(given) != 1:
        raise UsageError(
            "a restore needs exactly one target",
            remedy="give one of --time, --lsn, --name, --before-xid, --latest",
        )
    if time is not None:
        return Target("time", _time(time, zone).isoformat(sep=" "), not exclusive)
    if lsn is not None:
        return Target("lsn", str(Lsn.parse(lsn)), not exclusive)
    if name is not None:
        return Target("name", _plain(name))
    if before_xid is not None:
        if not before_xid.isdecimal() or int(before_xid) < 3:
            raise UsageError(f"{before_xid!r} is not a transaction id")
        return Target("xid", before_xid, inclusive=False)
    return LATEST


def _time(text: str, zone: str) -> datetime:
    # As PostgreSQL prints it: an offset of hours alone, which Python wants whole.
    whole = re.sub(r"([+-]\d\d)$", r"\1:00", text.strip())
    try:
        moment = datetime.fromisoformat(whole)
    except ValueError:
        raise UsageError(
            f"{text!r} is not a moment",
            remedy="write it as 2026-11-23 15:04:05, with decimals and an offset if you like",
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=zoneinfo.ZoneInfo(zone))


def _plain(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.:-]{1,63}", name):
        raise UsageError(f"{name!r} is not a name: letters, digits, _ . : - are, 1 to 63 of them")
    return name
