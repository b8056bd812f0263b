"""Watches how much members hold, and lets clients only read before a disk is full.

Looks every few seconds. From 95 % on, the cluster's configuration makes transactions read-only
unless they ask to write; below 90 % that is taken back. Superusers go on writing, so that room
can be made.

This file is copied into the environment and run from there, so it imports nothing of ours.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import signal
import ssl
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

TICK_SECONDS = 5.0
NOTICE, WARNING, CLOSE, OPEN = 0.80, 0.90, 0.95, 0.90
SETTING = "default_transaction_read_only"
_CALL_SECONDS = 5.0


@dataclass(frozen=True)
class Size:
    """What one member holds, and what its disk has left for it, in bytes."""

    name: str
    used: int
    free: int

    def share(self, limit: int) -> float:
        """How full it is: of what it may hold, or of what its disk can hold if that is less."""
        return self.used / max(1, min(limit, self.used + self.free))


@dataclass(frozen=True)
class Verdict:
    """How full the fullest member is, and whether clients may only read."""

    level: str
    """`fine`, `notice` from 80 % on, `warning` from 90 %, `read-only`."""
    share: float
    member: str | None
    read_only: bool


def judge(sizes: Sequence[Size], limit: int, *, read_only: bool) -> Verdict:
    """Decide from the sizes and from what holds now. Nothing known changes nothing."""
    if not sizes:
        return Verdict("read-only" if read_only else "fine", 0.0, None, read_only)
    fullest = max(sizes, key=lambda one: one.share(limit))
    share = fullest.share(limit)
    closed = share >= CLOSE or (read_only and share >= OPEN)
    level = (
        "read-only" if closed
        else "warning" if share >= WARNING
        else "notice" if share >= NOTICE
        else "fine"
    )  # fmt: skip
    return Verdict(level, share, fullest.name, closed)


def measure(members: Sequence[dict[str, Any]]) -> list[Size]:
    """Look at the data folders that there are. Members on one disk share what is left of it."""
    found = [(one["name"], Path(one["data"])) for one in members]
    there = [(name, data) for name, data in found if (data / "PG_VERSION").exists()]
    disks = [data.stat().st_dev for _, data in there]
    sizes = []
    for (name, data), disk in zip(there, disks, strict=True):
        room = os.statvfs(data)
        free = room.f_bavail * room.f_frsize // disks.count(disk)
        sizes.append(Size(name, held(data), free))
    return sizes


def held(folder: Path) -> int:
    """What the files below `folder` take on the disk; those that vanish meanwhile count not."""
    total, todo = 0, [os.fspath(folder)]
    while todo:
        try:
            with os.scandir(todo.pop()) as entries:
                for entry in entries:
                    try:
                        if entry.is_dir(follow_symlinks=False) or _is_tablespace(entry):
                            todo.append(entry.path)
                        else:
                            total += entry.stat(follow_symlinks=False).st_blocks * 512
                    except OSError:
                        continue
        except OSError:
            continue
    return total


def _is_tablespace(entry: os.DirEntry[str]) -> bool:
    return entry.is_symlink() and Path(entry.path).parent.name == "pg_tblspc" and entry.is_dir()


class Guard:
    """Looks, decides, and tells the cluster."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = settings
        self._state = Path(settings["state"])
        self.stopping = threading.Event()

    def run(self) -> None:
        """Until SIGTERM."""
        while not self.stopping.is_set():
            began = time.monotonic()
            try:
                self.look()
            except Exception as error:
                print(f"{type(error).__name__}: {error}", flush=True)
            # Looking at very many files must not become all that the disk does.
            self.stopping.wait(max(TICK_SECONDS, 5 * (time.monotonic() - began)))

    def look(self) -> None:
        """Once: measure, decide, bring the cluster there, write down what was found."""
        limit = int(self._settings["limit"])
        sizes = measure(self._settings["members"])
        closed = self._is_closed()
        verdict = judge(sizes, limit, read_only=bool(closed))
        if closed is not None and verdict.read_only != closed:
            self._close(verdict.read_only)
            word = "only read" if verdict.read_only else "write again"
            print(f"{verdict.member} is {verdict.share:.1%} full: clients may {word}", flush=True)
        self._note(sizes, limit, verdict)

    def _is_closed(self) -> bool | None:
        """Whether the cluster's configuration has it; None when nobody answers."""
        answer = self._call("GET", None)
        if answer is None:
            return None
        parameters = (answer.get("postgresql") or {}).get("parameters") or {}
        return bool(parameters.get(SETTING) == "on")

    def _close(self, closed: bool) -> None:
        self._exempt_superuser(closed)
        value = "on" if closed else None
        if self._call("PATCH", {"postgresql": {"parameters": {SETTING: value}}}) is None:
            raise OSError("no member took the change")

    def _exempt_superuser(self, exempt: bool) -> None:
        """Whoever makes room has to write, and so has naru; in force before the rest is."""
        # Patroni has it; without it this program could still measure.
        import psycopg

        role = f'ALTER ROLE "{self._settings["superuser"]}"'
        with psycopg.connect(
            self._settings["conninfo"], autocommit=True, connect_timeout=5,
            options=f"-c {SETTING}=off -c statement_timeout=10s",
        ) as connection:  # fmt: skip
            what = f"SET {SETTING} = off" if exempt else f"RESET {SETTING}"
            connection.execute(f"{role} {what}".encode())

    def _call(self, method: str, document: Any) -> dict[str, Any] | None:
        """The cluster's configuration, from or by the first member that answers."""
        for member in self._settings["members"]:
            try:
                found = self._ask(member, method, document)
            except (OSError, http.client.HTTPException, ValueError):
                continue
            if found is not None:
                return found
        return None

    def _ask(self, member: dict[str, Any], method: str, document: Any) -> dict[str, Any] | None:
        connection = self._connection(member)
        try:
            password = Path(self._settings["rest_password"]).read_text().rstrip("\n")
            word = base64.b64encode(f"{self._settings['rest_user']}:{password}".encode()).decode()
            body = None if document is None else json.dumps(document)
            connection.request(method, "/config", body, {"Authorization": f"Basic {word}"})
            response = connection.getresponse()
            found = json.loads(response.read())
        finally:
            connection.close()
        return found if response.status == 200 and isinstance(found, dict) else None

    def _connection(self, member: dict[str, Any]) -> http.client.HTTPConnection:
        """By TLS when there is an authority to check by."""
        authority = self._settings.get("authority")
        if authority is None:
            return http.client.HTTPConnection(
                member["address"], member["rest_port"], timeout=_CALL_SECONDS
            )
        return http.client.HTTPSConnection(
            member["address"], member["rest_port"], timeout=_CALL_SECONDS,
            context=ssl.create_default_context(cafile=authority),
        )  # fmt: skip

    def _note(self, sizes: Sequence[Size], limit: int, verdict: Verdict) -> None:
        document = {
            "at": time.time(),
            "limit": limit,
            **asdict(verdict),
            "members": [asdict(one) for one in sizes],
        }
        aside = self._state.with_suffix(".new")
        aside.write_text(json.dumps(document) + "\n")
        aside.replace(self._state)

    def stop(self, *_: object) -> None:
        """End at the next look."""
        self.stopping.set()


def main() -> None:
    """Work until SIGTERM, as the file of settings named as the only argument says."""
    guard = Guard(json.loads(Path(sys.argv[1]).read_text()))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, guard.stop)
    guard.run()


if __name__ == "__main__":
    main()
