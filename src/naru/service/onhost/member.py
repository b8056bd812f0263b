"""What a member runs: Patroni, with the waits of a planned switchover cut short, watched, with a
health check for reads, and an ear for changes of the election's nodes.

Patroni looks once a second whether its server has ended, gives standbys a second to catch
up before it gives up the lead, and lets a member that was not chosen sleep for two seconds.
Clients would wait through all of it. None of these waits decides anything: after each of
them Patroni looks again. Elections, leases and the rules of who may lead are untouched.

While no standby is there Patroni lets commits wait for `*`, which is anybody who receives WAL:
also the backup host, which cannot take over. Here they wait for members alone.

A member speaks from its own address, as it does on a host of its own: so a listener can tell
members apart.

Patroni keeps a watchdog of ours: see `keeping`. Its durations do not jump with the clock: see
`steady`. It knows at once when its server has ended: see `ended`.
"""

from __future__ import annotations

import importlib
import json
import re
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .ended import know_ended_servers
from .keeping import keep_watchdogs
from .steady import SteadyTime, measure_steadily

COURTESY = {1: 0.1, 2: 0.2}
"""Seconds that Patroni sleeps, and what becomes of them. Other lengths stay."""

FRESH = "fresh"
"""The path of the health check for reads."""

TOLD_SECONDS = 5.0
"""What the election said of the primary so long ago still holds: it is read every second."""


class BriskTime(SteadyTime):
    """The module `time` with shorter courtesies, and steady as all of Patroni's."""

    @staticmethod
    def sleep(seconds: float) -> None:
        time.sleep(COURTESY.get(seconds, seconds) if isinstance(seconds, int) else seconds)


def speak_from(host: str, kind: Any) -> None:
    """Have connections of `kind`, urllib3's HTTPConnection, come from the address `host`."""
    begin = kind.__init__

    def begun(self: Any, *values: Any, **named: Any) -> None:
        begin(self, *values, **named)
        self.source_address = self.source_address or (host, 0)

    kind.__init__ = begun


_ANYBODY = re.compile(r"\*|ANY (?:\d+|None) \(\*\)")


class Members:
    """What the file of settings says of members: who may be read, and what stands for `*` in
    `synchronous_standby_names`, which is every member by name.

    The own name among them, which Patroni never puts there, tells it from a choice.
    """

    def __init__(self, settings: Path) -> None:
        self._settings = settings

    def named(self, value: str | None) -> str | None:
        """`value`, with every member in the place of anybody."""
        if value is None or not _ANYBODY.fullmatch(value):
            return value
        names = ",".join(f'"{name}"' for name in self._read()["naru"]["members"])
        return f"ANY 1 ({names})"

    def parsed(self, value: str, parse: Callable[[str], Any]) -> Any:
        """What Patroni reads from a server: `*` again where all members are named."""
        own = self._read()["name"]
        found = parse(value)
        return parse("ANY 1 (*)") if own in found.members else found

    def read_lag(self) -> tuple[int, float]:
        """How far behind a standby may be that is read, in MB and in seconds: as the file says
        now, so that nothing has to be started anew for it."""
        found = self._read()["naru"]["read_lag"]
        return int(found["megabytes"]), float(found["seconds"])

    def _read(self) -> Any:
        return json.loads(self._settings.read_text())


def wait_for_members_alone(members: Members) -> None:
    """Have Patroni name members where it would say `*`."""
    config: Any = importlib.import_module("patroni.postgresql.config").ConfigHandler
    sync: Any = importlib.import_module("patroni.postgresql.sync")
    parse, put, gather = (
        sync.parse_sync_standby_names,
        config.set_synchronous_standby_names,
        config.get_server_parameters,
    )

    def gathered(self: Any, values: Any) -> Any:
        found = gather(self, values)
        if "synchronous_standby_names" in found:
            found["synchronous_standby_names"] = members.named(found["synchronous_standby_names"])
        return found

    sync.parse_sync_standby_names = lambda value: members.parsed(value, parse)
    config.set_synchronous_standby_names = lambda self, value: put(self, members.named(value))
    config.get_server_parameters = gathered


class Progress:
    """Where the primary was when, as seen from here; by which replay is late, in seconds.

    Clocks of other machines and the times of commits play no part: an idle primary makes
    nobody late.
    """

    KEPT_SECONDS = 7200.0
    EVERY_SECONDS = 0.2

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()
        self._heard: float | None = None
        self._lock = threading.Lock()

    def late(
        self, now: float, primary: int, replayed: int, *, streams: bool, told: bool = False
    ) -> float:
        """Seconds since the primary first was beyond what has been replayed, or since this
        standby last heard where it is, whichever is longer; 0 when level.

        It hears that while it `streams`; and once it did, also while it is `told` by the
        election: so a primary that died leaves nobody late.
        """
        with self._lock:
            if primary:
                self._see(now, primary, replayed)
            behind = now - self._seen[0][0] if self._seen else 0.0
            if streams or (told and self._heard is not None):
                self._heard = now
            if self._heard is None:
                return float("inf")
            return max(behind, now - self._heard)

    def _see(self, now: float, primary: int, replayed: int) -> None:
        newest = self._seen[-1] if self._seen else None
        if newest is not None and primary < newest[1]:
            # Another one leads, and what it never had does not count.
            self._seen = deque((at, min(where, primary)) for at, where in self._seen)
            newest = self._seen[-1]
        if newest is None or (primary > newest[1] and now - newest[0] >= self.EVERY_SECONDS):
            self._seen.append((now, primary))
        while self._seen and (
            self._seen[0][1] <= replayed or now - self._seen[0][0] > self.KEPT_SECONDS
        ):
            self._seen.popleft()


def unfit(
    status: Mapping[str, Any], primary: int, late: float, megabytes: int, seconds: float
) -> str | None:
    """Why a member with `status` (as of `/patroni`) should not be read; None when it may be."""
    xlog = status.get("xlog") or {}
    if status.get("state") != "running" or status.get("role") != "replica":
        return "no running standby"
    if xlog.get("paused"):
        return "replay is paused"
    behind = primary - int(xlog.get("replayed_location") or 0)
    if behind > megabytes * 1024 * 1024:
        return f"replay is {behind} bytes behind"
    if late > seconds:
        return f"replay is {late:.1f} s behind"
    return None


PROGRESS = Progress()


def answer_fresh(handler: Any, bounds: Callable[[], tuple[int, float]]) -> None:
    """`GET /fresh`: 200 if this standby may be read, 503 if not, as a word to people as well."""
    status = handler.get_postgresql_status()
    cluster = handler.server.patroni.dcs.cluster
    seen = cluster.status.last_lsn if cluster and cluster.status else 0
    primary = max(seen or 0, status.get("latest_end_lsn") or 0)
    replayed = int((status.get("xlog") or {}).get("replayed_location") or 0)
    streams = status.get("replication_state") == "streaming"
    told = 0 <= time.time() - handler.server.patroni.dcs.last_seen <= TOLD_SECONDS
    late = PROGRESS.late(time.monotonic(), primary, replayed, streams=streams, told=told)
    why = unfit(status, primary, late, *bounds())
    if handler.server.patroni.noloadbalance:
        why = why or "tagged noloadbalance"
    handler.write_response(503 if why else 200, why or "fresh")


def follow_hosts(etcd: Any) -> None:
    """Let a reload bring the election's nodes into force; Patroni by itself only looks for
    others every ten leases, and goes back to those of its start when none answers."""
    reload_config = etcd.AbstractEtcd.reload_config

    def with_hosts(self: Any, config: Any) -> None:
        reload_config(self, config)
        section = config.get(self.__class__.__name__.lower()) or {}
        hosts = section.get("hosts")
        if hosts:
            names = hosts.split(",") if isinstance(hosts, str) else list(hosts)
            protocol = section.get("protocol") or "http"
            self._client._config["hosts"] = [
                name if "://" in name else f"{protocol}://{name.strip()}" for name in names
            ]
            self._client._machines_cache_updated = 0

    etcd.AbstractEtcd.reload_config = with_hosts


def main() -> None:
    """Run Patroni with the arguments given: a file of settings in JSON."""
    settings = json.loads(Path(sys.argv[1]).read_text())
    host = settings["restapi"]["listen"].rpartition(":")[0]
    speak_from(host, importlib.import_module("urllib3.connection").HTTPConnection)
    # These modules import each other; in another order they cannot be.
    postgresql: Any = importlib.import_module("patroni.postgresql")
    ha: Any = importlib.import_module("patroni.ha")
    postgresql.STOP_POLLING_INTERVAL = 0.1
    ha.time = BriskTime()
    measure_steadily()
    members = Members(Path(sys.argv[1]))
    wait_for_members_alone(members)
    keep_watchdogs()
    know_ended_servers()
    api: Any = importlib.import_module("patroni.api")
    setattr(
        api.RestApiHandler, f"do_GET_{FRESH}", lambda self: answer_fresh(self, members.read_lag)
    )
    follow_hosts(importlib.import_module("patroni.dcs.etcd"))
    importlib.import_module("patroni.__main__").main()


if __name__ == "__main__":
    main()
