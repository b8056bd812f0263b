"""What a member runs: Patroni, with the waits of a planned switchover cut short.

Patroni looks once a second whether its server has ended, gives standbys a second to catch
up before it gives up the lead, and lets a member that was not chosen sleep for two seconds.
Clients would wait through all of it. None of these waits decides anything: after each of
them Patroni looks again. Elections, leases and the rules of who may lead are untouched.

This file is copied into the environment and run from there, so it imports nothing of ours.
"""

from __future__ import annotations

import importlib
import time
from typing import Any

COURTESY = {1: 0.1, 2: 0.2}
"""Seconds that Patroni sleeps, and what becomes of them. Other lengths stay."""


class BriskTime:
    """The module `time` with shorter courtesies."""

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)

    @staticmethod
    def sleep(seconds: float) -> None:
        time.sleep(COURTESY.get(seconds, seconds) if isinstance(seconds, int) else seconds)


def main() -> None:
    """Run Patroni with the arguments given."""
    # These modules import each other; in another order they cannot be.
    postgresql: Any = importlib.import_module("patroni.postgresql")
    ha: Any = importlib.import_module("patroni.ha")
    postgresql.STOP_POLLING_INTERVAL = 0.1
    ha.time = BriskTime()
    importlib.import_module("patroni.__main__").main()


if __name__ == "__main__":
    main()
