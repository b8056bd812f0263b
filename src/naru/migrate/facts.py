"""Facts of two databases that decide whether one can be brought across to the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from naru.migrate.identity import TableIdentity
from naru.migrate.rights import Rights

SHOWN = 20
"""Of each sort of object so many are named; all are counted."""


@dataclass(frozen=True)
class Names:
    """Objects of one sort: how many there are, and the first of them."""

    total: int = 0
    first: tuple[str, ...] = ()

    @property
    def more(self) -> int:
        return self.total - len(self.first)


@dataclass(frozen=True)
class Login:
    """What our login may do on a server."""

    user: str
    superuser: bool = True
    replication: bool = True
    bypass_rls: bool = True
    create_role: bool = True
    create_db: bool = True
    create_on_database: bool = True
    create_subscription: bool = True
    read_secrets: bool = True


@dataclass(frozen=True)
class Server:
    """One side's server and the database on it."""

    version: int
    """`server_version_num`."""
    identifier: int | None
    """Of the cluster; None where it may not be read."""
    database: str
    in_recovery: bool
    encoding: str
    collate: str
    ctype: str
    provider: str
    locale: str | None
    login: Login
    settings: Mapping[str, str]
    slots_used: int = 0
    walsenders_used: int = 0
    connections_used: int = 0
    subscriptions_used: int = 0
    """Enabled ones, of all its databases: each has a worker."""

    @property
    def major(self) -> int:
        return self.version // 10000

    def number(self, setting: str) -> int:
        """A setting as a number; 0 where this version has no such setting."""
        return int(self.settings.get(setting) or 0)


@dataclass(frozen=True)
class Size:
    """How large the source is, and how fast it can be read and is written."""

    database_bytes: int
    table_bytes: int
    """Tables with TOAST, without indexes."""
    tables: int
    rows: int
    """The planner's estimate."""
    largest: tuple[tuple[str, int], ...]
    """Table, bytes; largest first."""
    wal_bytes_per_second: float | None
    """Written in the moment of looking; None if that was not measured."""
    read_bytes_per_second: float | None
    """Measured on the largest table; None if that was not measured, or too little is there."""

    @property
    def read_seconds(self) -> float | None:
        """How long one worker would read; a copy by several can be faster, never by more
        than their number."""
        if not self.read_bytes_per_second:
            return None
        return self.table_bytes / self.read_bytes_per_second


@dataclass(frozen=True)
class Extension:
    """An extension in the source, and what the target has of it."""

    name: str
    version: str
    available: str | None
    """The target's default version; None if it has none."""
    same_available: bool
    refused: str | None = None
    """Why our login may not make it on the target."""


@dataclass(frozen=True)
class SourceActivity:
    """Who is doing what at the source."""

    long_transactions: tuple[tuple[int, str, float], ...] = ()
    """Process, user, age in seconds; those open for more than a minute."""
    prepared: tuple[str, ...] = ()
    own_slots: tuple[str, ...] = ()
    own_publications: tuple[str, ...] = ()
    inactive_slots: tuple[tuple[str, int], ...] = ()
    """Name, bytes of WAL that it holds back."""
    publications: tuple[str, ...] = ()
    subscriptions: tuple[str, ...] = ()
    superuser_clients: tuple[str, ...] = ()
    replication_refused: str | None = None
    """Why a replication connection or a slot was refused."""
    slot_refused: str | None = None
    balanced: bool = False
    collation_changed: bool = False


@dataclass(frozen=True)
class TargetState:
    """What the target database is like."""

    exists: bool = True
    content: Names = Names()
    large_objects: int = 0
    begun: bool = False
    """A migration of Naru's, or a restore, has begun here."""
    reach_refused: str | None = None
    """Why the target's server cannot log in at the source."""
    reach_untried: bool = False
    """It could not be tried, for want of a database to try it in."""
    missing_roles: int = 0
    missing_collations: tuple[str, ...] = ()


@dataclass(frozen=True)
class Facts:
    """Everything that `decide` looks at."""

    source: Server
    target: Server
    size: Size
    activity: SourceActivity
    state: TargetState
    programs: tuple[int, ...]
    """Major versions of pg_dump that are installed here."""
    jobs: int
    """Workers of the copy."""
    identities: tuple[TableIdentity, ...]
    """Tables that lack a usable replica identity."""
    extensions: tuple[Extension, ...]
    objects: Mapping[str, Names]
    """Sorts of objects that need a word, by the code of their finding."""
    rights: Rights = field(default_factory=Rights)
    databases: int = 1
    """How many migrations are to begin between the two servers, this one included."""

    def to_json(self) -> dict[str, Any]:
        """The facts that people and programs want to see."""
        shown = asdict(self.size)
        shown["largest"] = [{"table": name, "bytes": size} for name, size in self.size.largest]
        shown["read_seconds"] = self.size.read_seconds
        return {
            "source": _server(self.source),
            "target": _server(self.target) | {"exists": self.state.exists},
            **shown,
        }


def _server(server: Server) -> dict[str, Any]:
    return {
        "version": f"{server.major}.{server.version % 10000}",
        "database": server.database,
        "encoding": server.encoding,
        "collate": server.collate,
        "user": server.login.user,
        "superuser": server.login.superuser,
    }
