"""What a member runs: Patroni, with the waits of a planned switchover cut short, and watched.

Patroni looks once a second whether its server has ended, gives standbys a second to catch
up before it gives up the lead, and lets a member that was not chosen sleep for two seconds.
Clients would wait through all of it. None of these waits decides anything: after each of
them Patroni looks again. Elections, leases and the rules of who may lead are untouched.

While no standby is there Patroni lets commits wait for `*`, which is anybody who receives WAL:
also the backup host, which cannot take over. Here they wait for members alone.

A member speaks from its own address, as it does on a host of its own: so a listener can tell
members apart.

Patroni keeps a watchdog of ours: see `keeping`. Its durations do not jump with the clock: see
`steady`.
"""

from __future__ import annotations

import importlib
import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .keeping import keep_watchdogs
from .steady import SteadyTime, measure_steadily

COURTESY = {1: 0.1, 2: 0.2}
"""Seconds that Patroni sleeps, and what becomes of them. Other lengths stay."""


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
    """What stands for `*` in `synchronous_standby_names`: every member by name.

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
    wait_for_members_alone(Members(Path(sys.argv[1])))
    keep_watchdogs()
    importlib.import_module("patroni.__main__").main()


if __name__ == "__main__":
    main()
