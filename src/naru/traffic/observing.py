"""What PgBouncer's console tells of one database, as facts."""

from __future__ import annotations

from typing import Any

from naru.errors import UsageError
from naru.ground import OpenSession
from naru.traffic.console import CONSOLE, Console
from naru.traffic.inifile import WILDCARD, entries
from naru.traffic.inistore import IniStore
from naru.traffic.pooler import PoolerFacts


def observe(console: Console, ini: IniStore, database: str) -> PoolerFacts:
    """How `database` is served now. Raises UsageError if it is not served at all."""
    row = _of(console.show("DATABASES"), "name", database) or _unused(console, ini, database)
    pools = [pool for pool in console.show("POOLS") if pool["database"] == database]
    modes = {str(pool["pool_mode"]) for pool in pools}
    modes.add(row["pool_mode"] or _default_mode(console))
    return PoolerFacts(
        pooler=console.name,
        database=database,
        pool_modes=tuple(sorted(modes)),
        host=row["host"] or "",
        port=int(row["port"]),
        dbname=row["database"],
        clients_active=_sum(pools, "cl_active"),
        clients_waiting=_sum(pools, "cl_waiting"),
        servers_active=_sum(pools, "sv_active"),
        servers_idle=_sum(pools, "sv_idle") + _sum(pools, "sv_used"),
        paused=row["paused"] == "1",
        disabled=row["disabled"] == "1",
    )


def holders(console: Console, database: str) -> list[str]:
    """Who has a transaction open, as people would look for them."""
    clients = {client["ptr"]: client for client in console.show("CLIENTS")}
    return [
        _holder(server, clients.get(server["link"]))
        for server in console.show("SERVERS")
        if server["database"] == database and server["state"] == "active"
    ]


def clients(console: Console, door: str) -> tuple[OpenSession, ...]:
    """Everybody who is connected to a database, as sessions at `door`."""
    return tuple(
        OpenSession(door, row["addr"], int(row["port"]), f"{row['user']}@{row['database']}")
        for row in console.show("CLIENTS")
        if row["database"] != CONSOLE
    )


def _unused(console: Console, ini: IniStore, database: str) -> dict[str, Any]:
    """The row of a database that only `*` serves and that no client has asked for yet."""
    star = next((e for e in reversed(entries(ini.read())) if e.name == WILDCARD), None)
    if star is None:
        raise UsageError(
            f"pooler {console.name} serves no database {database}",
            remedy="name the database as clients do; SHOW DATABASES on the admin console"
            " lists them",
        )
    return {
        "host": star.parameters.get("host"),
        "port": star.parameters.get("port", "5432"),
        "database": star.parameters.get("dbname", database),
        "pool_mode": star.parameters.get("pool_mode"),
        "paused": "0",
        "disabled": "0",
    }


def _default_mode(console: Console) -> str:
    row = _of(console.show("CONFIG"), "key", "pool_mode")
    return str(row["value"]) if row else "session"


def _holder(server: dict[str, Any], client: dict[str, Any] | None) -> str:
    where = f"server process {server['remote_pid']} at {server['addr']}:{server['port']}"
    if client is None:
        return f"{server['user']} ({where})"
    program = f", {client['application_name']!r}" if client["application_name"] else ""
    return f"{client['user']} from {client['addr']}:{client['port']}{program} ({where})"


def _of(rows: list[dict[str, Any]], key: str, value: str) -> dict[str, Any] | None:
    return next((row for row in rows if row[key] == value), None)


def _sum(rows: list[dict[str, Any]], key: str) -> int:
    return sum(int(row[key]) for row in rows)
