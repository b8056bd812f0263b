"""Whether the pools fit into the server: what they may ask for, what there is, who waits now."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from naru.postgres import Dsn, connect
from naru.traffic.console import CONSOLE, Console

LONG_WAIT_SECONDS = 1.0
"""A client that has waited so long for a connection is worth a warning."""

_SERVER = """
SELECT current_setting('max_connections')::int,
       current_setting('superuser_reserved_connections')::int
           + coalesce(current_setting('reserved_connections', true), '0')::int,
       (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')::int
"""


@dataclass(frozen=True)
class PoolUse:
    """One pool, a pair of database and user, at this moment."""

    database: str
    user: str
    size: int
    """Server connections that it may have, those kept in reserve included."""
    clients_active: int
    clients_waiting: int
    servers_active: int
    servers: int
    max_wait: float
    """Seconds that its oldest waiting client has waited."""


@dataclass(frozen=True)
class SizingFacts:
    """Pools that lead to one server, and that server's limits."""

    pools: tuple[PoolUse, ...]
    clients: int
    max_clients: int
    max_connections: int
    reserved: int
    """Connections that only superusers, and roles with pg_use_reserved_connections, get."""
    in_use: int
    """Clients that the server has now, by whichever way they came."""


@dataclass(frozen=True)
class Sizing:
    """The facts, in sentences, with what to change."""

    facts: SizingFacts
    demand: int
    """Server connections that all pools together may ask for."""
    available: int
    """Those that the server has for ordinary roles."""
    sentence: str
    warnings: tuple[str, ...]

    @property
    def too_large(self) -> str | None:
        """Why the pools do not fit into the server, in a sentence; None when they do."""
        return self.warnings[0] if self.demand > self.available else None

    def to_json(self) -> dict[str, Any]:
        """The stable document of `naru service connections --json`."""
        return asdict(self)


def judge_sizing(facts: SizingFacts) -> Sizing:
    """Hold what the pools may ask for against what the server has."""
    demand = sum(pool.size for pool in facts.pools)
    available = facts.max_connections - facts.reserved
    count = len(facts.pools)
    return Sizing(
        facts, demand, available,
        f"{count} pool{'' if count == 1 else 's'} may ask for {demand} of {available} connections"
        f" ({facts.max_connections} less {facts.reserved} reserved), {facts.in_use} in use;"
        f" {facts.clients} of {facts.max_clients} clients",
        tuple(_warnings(facts, demand, available)),
    )  # fmt: skip


def _warnings(facts: SizingFacts, demand: int, available: int) -> Iterator[str]:
    if demand > available:
        fitting = max(1, available // max(1, len(facts.pools)))
        yield (
            f"the pools may ask for {demand} connections, and the server has {available}: beyond"
            f" them clients get errors; write traffic.pool_size = {fitting} or less in naru.toml,"
            f" or service.settings.max_connections = {demand + facts.reserved} or more"
        )
    if facts.clients >= 0.9 * facts.max_clients:
        yield (
            f"{facts.clients} of {facts.max_clients} clients are connected, and no more than that"
            " may: write a larger traffic.max_clients in naru.toml"
        )
    for pool in facts.pools:
        if pool.max_wait >= LONG_WAIT_SECONDS:
            yield (
                f"{pool.clients_waiting} clients of {pool.database} as {pool.user} wait, one for"
                f" {pool.max_wait:.1f} s: all {pool.size} connections of the pool are taken, or"
                " the server does not answer; see traffic.pool_size"
            )


def observe_sizing(console: Console, address: tuple[str, int], server: Dsn) -> SizingFacts:
    """What PgBouncer and the server tell, about pools that lead to `address`."""
    databases = {
        row["name"]: row
        for row in console.show("DATABASES")
        if (row["host"], int(row["port"])) == address
    }
    pools = tuple(
        _use(row, databases[row["database"]])
        for row in console.show("POOLS")
        if row["database"] in databases and row["database"] != CONSOLE
    )
    config = {row["key"]: row["value"] for row in console.show("CONFIG")}
    with connect(server, purpose="sizing", seconds=3) as connection:
        row = connection.execute(_SERVER).fetchone()
    assert row is not None
    return SizingFacts(
        pools, len(console.show("CLIENTS")), int(config["max_client_conn"]), row[0], row[1], row[2]
    )


def _use(pool: dict[str, Any], database: dict[str, Any]) -> PoolUse:
    kinds = ("sv_active", "sv_idle", "sv_used", "sv_tested", "sv_login")
    return PoolUse(
        database=pool["database"],
        user=pool["user"],
        size=int(database["pool_size"]) + int(database["reserve_pool"]),
        clients_active=int(pool["cl_active"]),
        clients_waiting=int(pool["cl_waiting"]),
        servers_active=int(pool["sv_active"]),
        servers=sum(int(pool[kind]) for kind in kinds),
        max_wait=int(pool["maxwait"]) + int(pool["maxwait_us"]) / 1_000_000,
    )
