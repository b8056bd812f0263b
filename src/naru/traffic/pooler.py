"""What a connection pooler can do for a cutover, and when it may be asked to."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Protocol

from naru.errors import RefusedError
from naru.system import Deadline


@dataclass(frozen=True)
class PoolerFacts:
    """How a pooler serves one database, at one moment."""

    pooler: str
    database: str
    """The name that clients ask for."""
    pool_modes: tuple[str, ...]
    """The modes in force for its users, sorted: `session`, `transaction`, `statement`."""
    host: str
    """Where it points; empty for a local socket."""
    port: int
    dbname: str
    """The database's name on that server."""
    clients_active: int
    """Clients with a server connection, or idle with nothing to ask."""
    clients_waiting: int
    """Clients that have asked and still have no server connection."""
    servers_active: int
    """Server connections inside a transaction."""
    servers_idle: int
    paused: bool
    disabled: bool

    @property
    def where(self) -> str:
        """The target as people write it."""
        return f"{self.host or 'local socket'}:{self.port}/{self.dbname}"

    def points_at(self, host: str, port: int, dbname: str) -> bool:
        return (self.host, self.port, self.dbname) == (host, port, dbname)

    def leads_to(self, host: str, port: int, dbname: str) -> bool:
        """True if it points there by whatever name; may wait for names to be looked up."""
        if self.points_at(host, port, dbname):
            return True
        same = (self.port, self.dbname) == (port, dbname) and bool(self.host and host)
        return same and not _addresses(self.host).isdisjoint(_addresses(host))


def _addresses(host: str) -> set[str]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return set()
    return {str(one[4][0]) for one in found}


class Pooler(Protocol):
    """Stands between clients and a database, and can make clients wait instead of fail."""

    @property
    def name(self) -> str:
        """The pooler's address, for messages."""

    def observe(self, database: str) -> PoolerFacts:
        """How `database` is served now."""

    def pause(self, database: str, deadline: Deadline) -> None:
        """Let running transactions end and hold new ones back, until `resume`.

        Past the deadline clients go on as before, and DeadlineError names who held it.
        """

    def point(self, database: str, host: str, port: int, dbname: str | None = None) -> None:
        """Send `database` to another server; durable, and checked."""

    def resume(self, database: str) -> None:
        """Let clients go on; harmless when they are not held."""


def must_be_pausable(facts: PoolerFacts) -> None:
    """Raise RefusedError, with the remedy, if a pause could not work for these facts.

    In session mode a pause waits until clients log out; that is no pause.
    """
    who = f"pooler {facts.pooler}, database {facts.database}"
    other = [mode for mode in facts.pool_modes if mode != "transaction"]
    if other:
        raise RefusedError(
            f"{who}: pool mode is {' and '.join(other)}; only transaction pooling can pause",
            remedy="set pool_mode = transaction for this database (and for users that override"
            " it), and RELOAD",
        )
    if facts.disabled:
        raise RefusedError(
            f"{who}: it is disabled, no client can reach it",
            remedy=f"ENABLE {facts.database} on the admin console first",
        )
