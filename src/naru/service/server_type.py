"""What a server type of the provider means for PostgreSQL: memory, parallelism, connections.

The vCPU are not enforced on a machine that members share: they set how parallel PostgreSQL
works. Of the memory a member takes the share that `service.memory_share` says.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from naru.errors import UsageError


@dataclass(frozen=True)
class ServerType:
    """A size of server, such as db1v2m4: 2 vCPU and 4 GiB."""

    name: str
    vcpu: int
    gib: int

    @classmethod
    def named(cls, name: str) -> ServerType:
        """Read the provider's name. Raises UsageError for what is none."""
        match = re.fullmatch(r"db\dv(\d+)m(\d+)", name)
        if match is None:
            raise UsageError(f"{name!r} is not a server type", remedy="such as db1v2m4")
        return cls(name, int(match[1]), int(match[2]))

    def memory_mb(self, share: float) -> int:
        """What one member takes, in MiB."""
        return int(self.gib * 1024 * share)


def settings_of_type(kind: ServerType, share: float) -> dict[str, str]:
    """PostgreSQL's settings for a member that has `share` of the memory of `kind`.

    A quarter of the memory is PostgreSQL's own cache, three quarters are what the planner
    takes for cached in all, a sixteenth serves index builds and vacuum. Connections follow the
    type itself, not the share, so that a limit is met in a rehearsal as it would be there.
    """
    memory = kind.memory_mb(share)
    shared = max(32, memory // 4)
    connections = _within(75 * kind.gib, 100, 5000)
    sort_kb = _within((memory - shared) * 1024 // connections, 4096, 262_144)
    parallel = str(_within(kind.vcpu // 2, 2, 8))
    return {
        "max_connections": str(connections),
        "shared_buffers": f"{shared}MB",
        "effective_cache_size": f"{max(64, memory * 3 // 4)}MB",
        "work_mem": f"{sort_kb // 1024}MB",
        "maintenance_work_mem": f"{_within(memory // 16, 16, 2048)}MB",
        "max_worker_processes": str(24 + 4 * kind.vcpu),
        "max_parallel_workers": str(max(2, kind.vcpu)),
        "max_parallel_workers_per_gather": parallel,
        "max_parallel_maintenance_workers": parallel,
        "autovacuum_max_workers": str(_within(kind.vcpu // 2, 3, 10)),
    }


def settings_of_data(gigabytes: float) -> dict[str, str]:
    """PostgreSQL's settings for WAL, by how much a member may hold.

    WAL between checkpoints may take a quarter, WAL that slots keep back a half.
    """
    megabytes = int(gigabytes * 1024)
    most = _within(megabytes // 4, 64, 16_384)
    return {
        "max_wal_size": f"{most}MB",
        "min_wal_size": f"{max(32, most // 8)}MB",
        "max_slot_wal_keep_size": f"{max(64, megabytes // 2)}MB",
    }


def _within(number: int, low: int, high: int) -> int:
    return max(low, min(high, number))
