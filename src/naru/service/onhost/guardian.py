"""The guardian of a host: `guardian.py SETTINGS` fences members that are proven dead or frozen.

Patroni's lock runs out 20 s after its last renewal, whatever has become of its holder. On the
host itself one can see more: that its processes are gone, or stopped. The guardian looks at
the processes of this host only, and what it cannot prove there it leaves to the lease.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import procs
from .judging import Facts, Verdict, judge
from .lease import NANO, LeaseFile, now
from .lock import Election, Etcd

LOOK_SECONDS = 0.2
LATE_SECONDS = 2.0
"""A longer rest between two looks, and what was seen before no longer counts."""

STOPPED_SECONDS = 15.0
REST_SECONDS = 2.0
"""A member without any process for so long is looked at so seldom."""

_END_SECONDS = 5.0
_STEP_SECONDS = 0.02
_WATCHDOG = "watchdog.py"


@dataclass(frozen=True)
class Member:
    """A member on this host."""

    name: str
    prefix: str
    """What the keys of its cluster in etcd begin with."""
    data: Path
    record: Path
    """Where it stands which process its Patroni is."""
    lease: Path


@dataclass(frozen=True)
class Seen:
    """The processes of a member, just now."""

    patroni: procs.Process | None
    server: str

    @property
    def is_well(self) -> bool:
        return self.state == "working" and self.server != "frozen"

    @property
    def state(self) -> str:
        if self.patroni is None:
            return "gone"
        return "frozen" if self.patroni.frozen else "working"


class Since:
    """For how long something has been so, without interruption."""

    def __init__(self) -> None:
        self._began: dict[str, float] = {}
        self._looked = self._rested = time.monotonic()

    def look(self) -> None:
        """Begin a look; after too long a rest all begins anew."""
        self._looked = time.monotonic()
        if self._looked - self._rested > LATE_SECONDS:
            self._began.clear()

    def rest(self) -> None:
        """End a look. It may have taken long itself: an election that is cut off answers late."""
        self._rested = time.monotonic()

    def seconds(self, what: str, is_so: bool) -> float:
        if not is_so:
            self._began.pop(what, None)
            return 0.0
        return self._looked - self._began.setdefault(what, self._looked)


class Guardian:
    """Watches the members of one host."""

    def __init__(self, settings: dict[str, Any]) -> None:
        nodes = [(host, port) for host, port in settings["etcd"]]
        self._members = [_member(one) for one in settings["members"]]
        self._etcds = {
            one.prefix: Etcd(nodes, one.prefix, settings.get("tls")) for one in self._members
        }
        self._leases = {one.name: LeaseFile(one.lease) for one in self._members}
        self._since = Since()
        self._paused: dict[str, bool] = {}
        self._rest: dict[str, float] = {}

    def look(self) -> None:
        """Look at every member once, and do what is to be done."""
        self._since.look()
        for member in self._members:
            if time.monotonic() < self._rest.get(member.name, 0.0):
                continue
            seen = _see(member)
            away = self._since.seconds(f"{member.name} away", seen.state != "working")
            still = self._since.seconds(f"{member.name} still", seen.server == "frozen")
            if seen.is_well:
                continue
            election = self._etcds[member.prefix].read()
            if election is not None:
                self._paused[member.prefix] = election.paused
            facts = Facts(
                patroni=seen.state,
                server=seen.server,
                away=away,
                still=still,
                silent=self._silent(member.name),
                may_write=procs.may_write(member.data),
                leads=_leads(member.name, election),
                paused=self._paused.get(member.prefix, False),
            )
            verdict = judge(facts)
            if verdict is Verdict.WAIT and seen.server == "gone" and away > STOPPED_SECONDS:
                # It was stopped. To see that nothing of it is left costs a look at all processes.
                self._rest[member.name] = time.monotonic() + REST_SECONDS
            if verdict is not Verdict.WAIT:
                _say(f"{member.name}: {verdict.value}, because of {facts}")
                self._act(member, verdict, seen, election)
        self._since.rest()

    def _silent(self, name: str) -> float | None:
        lease = self._leases[name].lease
        if lease is None or not lease.armed:
            return None
        return (now() - lease.renewed) / NANO

    def _act(self, member: Member, verdict: Verdict, seen: Seen, election: Election | None) -> None:
        if verdict is Verdict.KILL_SERVER:
            procs.end_servers(member.data, _END_SECONDS)
        elif verdict is Verdict.KILL_PATRONI:
            if seen.patroni is not None:
                procs.end(seen.patroni, _END_SECONDS)
        else:
            self._fence(member, seen, election)

    def _fence(self, member: Member, seen: Seen, election: Election | None) -> None:
        """Kill, see that nothing is left, and free the lock: in this order, and no step
        without the one before it.

        The lock was read after its holder had been seen gone or frozen. A Patroni started since
        must write the lock anew before it leads, and then it is not freed.
        """
        began = time.monotonic()
        again = _see(member)
        if (again.patroni, again.state) != (seen.patroni, seen.state):
            _say(f"{member.name}: not fenced, its Patroni is {again.state}")
            return
        if not _clear(member, seen):
            _say(f"{member.name}: its server cannot be killed; its lock is left to run out")
            return
        if seen.patroni is not None and not procs.end(seen.patroni, _END_SECONDS):
            _say(f"{member.name}: its Patroni cannot be killed; its lock is left to run out")
            return
        lock = election.lock if election is not None else None
        freed = (
            lock is not None
            and lock.holder == member.name
            and self._etcds[member.prefix].free(lock)
        )
        word = "freed" if freed else "not freed"
        _say(f"{member.name}: fenced in {time.monotonic() - began:.2f} s, its lock {word}")


def _clear(member: Member, seen: Seen) -> bool:
    """kill -9 all processes of a member but a frozen Patroni; True once none is left.

    A server that its Patroni had just begun is among them, though it does not stand in its
    folder yet. A frozen Patroni begins nothing.
    """
    but = seen.patroni and seen.patroni.pid
    end = time.monotonic() + _END_SECONDS
    while True:
        left = procs.servers_of(member.data)
        if procs.recorded(member.record) == seen.patroni:
            left += [pid for pid in procs.of_program(member.name, _WATCHDOG) if pid != but]
        if not left:
            return True
        procs.kill(left)
        if time.monotonic() > end:
            return False
        time.sleep(_STEP_SECONDS)


def _see(member: Member) -> Seen:
    patroni = procs.recorded(member.record)
    chief = procs.postmaster(member.data)
    if chief is not None:
        return Seen(patroni, "frozen" if chief.frozen else "running")
    if patroni is not None and not patroni.frozen:
        return Seen(patroni, "gone")
    # Its backends may outlive a postmaster, and a new one may not have its file yet.
    left = procs.servers_of(member.data)
    return Seen(patroni, "running" if left else "gone")


def _leads(name: str, election: Election | None) -> bool | None:
    if election is None:
        return None
    return election.lock is not None and election.lock.holder == name


def _member(document: dict[str, str]) -> Member:
    return Member(
        document["name"],
        document["prefix"],
        Path(document["data"]).resolve(),
        Path(document["record"]),
        Path(document["lease"]),
    )


def _say(text: str) -> None:
    print(time.strftime("%Y-%m-%d %H:%M:%S"), text, flush=True)


def main() -> None:
    """Watch until SIGTERM; the file of settings is read anew when it changes."""
    path, stopping = Path(sys.argv[1]), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    written, guardian = 0, None
    while not stopping.is_set():
        if guardian is None or path.stat().st_mtime_ns != written:
            written = path.stat().st_mtime_ns
            guardian = Guardian(json.loads(path.read_text()))
        guardian.look()
        stopping.wait(LOOK_SECONDS)


if __name__ == "__main__":
    main()
