"""What stands in WAL segments, by pg_waldump: ends of transactions, restore points, the end."""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from naru.backup.segments import Inventory, Segment
from naru.backup.target import Target
from naru.postgres import Installation, Lsn
from naru.system import run

_SECONDS = 120
_END = re.compile(
    r"rmgr: Transaction .*? tx: +(\d+), lsn: ([0-9A-F]+/[0-9A-F]+), .*?"
    r"desc: (COMMIT|ABORT)(?:_PREPARED)? .*?(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?) UTC"
)
_PREPARED = re.compile(r"desc: (?:COMMIT|ABORT)_PREPARED (?:gxact )?(\d+)")
_POINT = re.compile(r"rmgr: XLOG .*? lsn: ([0-9A-F]+/[0-9A-F]+), .*?desc: RESTORE_POINT (.*)")
_POSITION = re.compile(r"\b[0-9A-F]+/[0-9A-F]+\b")


@dataclass(frozen=True)
class End:
    """The end of a transaction; `lsn` is where its record begins."""

    xid: int
    lsn: Lsn
    at: datetime
    committed: bool


@dataclass(frozen=True)
class Point:
    """A named restore point."""

    name: str
    lsn: Lsn


@dataclass(frozen=True)
class Contents:
    """What a few segments hold; `end` is where valid WAL ends, None when it goes on, 0/0 when
    there is none."""

    ends: tuple[End, ...]
    points: tuple[Point, ...]
    end: Lsn | None


@dataclass(frozen=True)
class Read:
    """What pg_waldump wrote, and what is read out of it."""

    stdout: str
    contents: Contents


def dump(installation: Installation, inventory: Inventory, segments: Sequence[Segment]) -> Contents:
    """Read the ends of transactions and the restore points of `segments`."""
    return read_segments(installation, inventory, segments, "Transaction", "XLOG").contents


def read_segments(
    installation: Installation, inventory: Inventory, segments: Sequence[Segment], *kinds: str
) -> Read:
    """Read records of the resource managers `kinds` of `segments`, which follow each other on
    one timeline.

    They are read through links, since pg_waldump wants them in one folder, without `.partial`.
    Raises FileNotFoundError when one was moved into the archive meanwhile: look again then.
    """
    with tempfile.TemporaryDirectory(prefix="naru-wal-") as folder:
        names = []
        for segment in segments:
            name = segment.name(inventory.size)
            Path(folder, name).symlink_to(inventory.paths[segment])
            names.append(str(Path(folder, name)))
        done = run(
            [installation.tool("pg_waldump"), *(f"--rmgr={kind}" for kind in kinds),
             names[0], *([names[-1].rpartition("/")[2]] if len(names) > 1 else [])],
            seconds=_SECONDS, env={"TZ": "UTC", "LC_ALL": "C"}, check=False,
        )  # fmt: skip
    for segment in segments:
        inventory.paths[segment].stat()
    return Read(done.stdout, parse(done.stdout, done.stderr))


def parse(stdout: str, stderr: str) -> Contents:
    """Read what pg_waldump wrote, in UTC."""
    lines = stdout.splitlines()
    positions = _POSITION.findall(stderr) if "error" in stderr else []
    return Contents(
        ends=tuple(_ends(lines)),
        points=tuple(
            Point(found[2].strip(), Lsn.parse(found[1]))
            for found in map(_POINT.search, lines)
            if found
        ),
        end=Lsn.parse(positions[-1]) if positions else Lsn(0) if "error" in stderr else None,
    )


def _ends(lines: Sequence[str]) -> Iterator[End]:
    for line in lines:
        if found := _END.search(line):
            prepared = _PREPARED.search(line)
            yield End(
                xid=int(prepared[1] if prepared else found[1]),
                lsn=Lsn.parse(found[2]),
                at=datetime.fromisoformat(found[4]).replace(tzinfo=UTC),
                committed=found[3] == "COMMIT",
            )


def last_end(
    installation: Installation, inventory: Inventory, last: Segment, *, most: int = 256
) -> tuple[End | None, Lsn | None]:
    """The last end of a transaction up to segment `last`, and where valid WAL ends there.

    Looks back over `most` segments. The end of WAL is None when it is the end of `last`.
    """
    valid: Lsn | None = None
    for number in range(last.number, last.number - most, -1):
        segment = Segment(last.timeline, number)
        if segment not in inventory.paths:
            break
        before = Segment(last.timeline, number - 1)
        both = [before, segment] if before in inventory.paths else [segment]
        found = dump(installation, inventory, both)
        if number == last.number:
            valid = found.end
        if found.ends:
            return found.ends[-1], valid
    return None, valid


def locate(
    installation: Installation, inventory: Inventory, target: Target, run: Sequence[Segment]
) -> Lsn | None:
    """Where recovery with `target` stops in a run of segments; None if it goes through."""
    for segment, after in zip(run, [*run[1:], None], strict=True):
        # A record may begin in one segment and end in the next.
        both = [segment, after] if after and after.timeline == segment.timeline else [segment]
        found = stop_of(target, dump(installation, inventory, both))
        if found is not None:
            return found
    return None


def stop_of(target: Target, contents: Contents) -> Lsn | None:
    """Where recovery with `target` stops within `contents`."""
    if target.kind == "name":
        return next((one.lsn for one in contents.points if one.name == target.value), None)
    for one in contents.ends:
        if target.kind == "xid" and one.xid == int(target.value):
            return one.lsn
        if target.kind == "time" and one.at > target.at:
            return one.lsn
    return None


@dataclass(frozen=True, order=True)
class Arrival:
    """How far WAL has got: a later timeline is further than any position of an earlier one."""

    timeline: int
    lsn: Lsn

    def __str__(self) -> str:
        return f"{self.lsn} of timeline {self.timeline}"


def received_until(installation: Installation, inventory: Inventory) -> Arrival:
    """Where the WAL that has arrived ends; 0/0 of timeline 0 when there is none."""
    last = inventory.newest
    if last is None:
        return Arrival(0, Lsn(0))
    end: Lsn | None = None
    with contextlib.suppress(FileNotFoundError):  # it was moved into the archive meanwhile
        end = dump(installation, inventory, [last]).end
    beginning = Lsn(last.number * inventory.size)
    valid = Lsn(beginning + inventory.size) if end is None else max(end, beginning)
    return Arrival(last.timeline, valid)
