"""Whether a server has room for all the migrations that are to begin."""

from __future__ import annotations

from collections.abc import Iterator

from naru.migrate.facts import Server
from naru.migrate.findings import Finding, found

_SPARE = 4


def taken(total: int, used: int, needed: int) -> str:
    """How much is left of a setting of which `needed` must be free."""
    if used >= total:
        return f"all {total} are taken"
    return f"{total - used} of {total} are free, {needed} are needed"


def too_few_workers(code: str, server: Server, databases: int) -> Iterator[Finding]:
    """What a subscription for each database lacks: a worker, its process, and an origin.

    Origins are counted by the number of slots until version 17.
    """
    needed = server.subscriptions_used + databases
    origins = "max_active_replication_origins" if server.major >= 18 else "max_replication_slots"
    for setting, least in (
        ("max_logical_replication_workers", needed),
        ("max_worker_processes", needed + 1),
        (origins, needed),
    ):
        if server.number(setting) < least:
            yield found(
                code,
                setting,
                f"is {server.number(setting)}, at least {least} are needed",
                f"ALTER SYSTEM SET {setting} = {least + _SPARE}; then restart",
            )
