"""PgBouncer under control: pause with a real deadline, re-point, resume."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from naru.errors import (
    DeadlineError,
    NaruError,
    NotPermittedError,
    RefusedError,
    ServerError,
    UsageError,
)
from naru.postgres import Dsn
from naru.system import Account, Deadline, write_atomically
from naru.traffic.console import Console, word
from naru.traffic.inifile import WILDCARD, entries, includes, pointed
from naru.traffic.pooler import PoolerFacts, must_be_pausable

BACKUP_SUFFIX = ".before-naru"
_HOLDERS_SHOWN = 5


class PgBouncer:
    """One PgBouncer: its admin console, and the ini file with the section [databases].

    Keeps no connection between calls, so it works across restarts of either side.
    """

    def __init__(self, admin: Dsn, ini: Path) -> None:
        self.admin = admin
        self.ini = ini
        self._held: set[str] = set()

    def to_json(self) -> dict[str, Any]:
        """What another process needs to control it too. Holds a secret: for pipes only."""
        return {"admin": dict(self.admin.parameters), "ini": str(self.ini)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The same pooler, from `to_json`."""
        return cls(Dsn(document["admin"]), Path(document["ini"]))

    @property
    def name(self) -> str:
        return f"{self.admin.host}:{self.admin.port}"

    def observe(self, database: str) -> PoolerFacts:
        """How `database` is served now.

        Raises UnreachableError or NotPermittedError for the console, UsageError for a
        database that the pooler does not serve.
        """
        with Console(self.admin) as console:
            return self._facts(console, database)

    def pause(self, database: str, deadline: Deadline) -> None:
        """Hold new transactions back once the running ones have ended.

        Past the deadline clients go on, and DeadlineError names who held the pause.
        Raises RefusedError where the pool mode makes a pause impossible.
        """
        with Console(self.admin) as console:
            must_be_pausable(self._facts(console, database))
            # PAUSE answers only when the last transaction has ended: this connection waits
            # for it, and everything else goes over other ones.
            self._held.add(database)
            try:
                console.send(f"PAUSE {word(database)}")
                console.finish(deadline)
            except DeadlineError as error:
                holders = self._holders(database)
                self.resume(database)
                raise _too_late(self.name, database, deadline, holders) from error
            except BaseException:
                with contextlib.suppress(NaruError):
                    self.resume(database)
                raise

    def resume(self, database: str) -> None:
        """Let clients go on. Harmless when they are not held."""
        with Console(self.admin) as console:
            try:
                console.command(f"RESUME {word(database)}")
            except ServerError as error:
                if "not paused" not in error.message:
                    raise
        self._held.discard(database)

    def point(self, database: str, host: str, port: int, dbname: str | None = None) -> None:
        """Rewrite the entry of `database`, RELOAD, and check that the pooler took it.

        The file as it was before stays beside it (`….before-naru`). If the pooler does not
        take the change, the file is put back and ServerError raised. If this object paused
        the database and the pause is gone, RefusedError: clients may have written meanwhile.
        """
        with Console(self.admin) as console:
            before = self._facts(console, database)
            self._must_still_hold(before)
            target = dbname or before.dbname
            if before.points_at(host, port, target) and self._written(database, host, port, target):
                return
            text = self._read()
            self._write(self._edited(text, database, host, port, target))
            try:
                console.command("RELOAD")
                self._must_point(console, database, host, port, target)
            except NaruError:
                self._write(text, keep=False)
                with contextlib.suppress(NaruError):
                    console.command("RELOAD")
                raise

    def _facts(self, console: Console, database: str) -> PoolerFacts:
        row = _of(console.show("DATABASES"), "name", database) or self._unused(database)
        pools = [p for p in console.show("POOLS") if p["database"] == database]
        modes = {str(pool["pool_mode"]) for pool in pools}
        modes.add(row["pool_mode"] or self._default_mode(console))
        return PoolerFacts(
            pooler=self.name,
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

    def _unused(self, database: str) -> dict[str, Any]:
        """The row of a database that only `*` serves and that no client has asked for yet."""
        star = next((e for e in reversed(entries(self._read())) if e.name == WILDCARD), None)
        if star is None:
            raise UsageError(
                f"pooler {self.name} serves no database {database}",
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

    def _default_mode(self, console: Console) -> str:
        row = _of(console.show("CONFIG"), "key", "pool_mode")
        return str(row["value"]) if row else "session"

    def _holders(self, database: str) -> list[str]:
        """Who has a transaction open, as people would look for them."""
        try:
            with Console(self.admin) as console:
                clients = {c["ptr"]: c for c in console.show("CLIENTS")}
                servers = console.show("SERVERS")
        except NaruError:
            return []
        return [
            _holder(server, clients.get(server["link"]))
            for server in servers
            if server["database"] == database and server["state"] == "active"
        ]

    def _must_still_hold(self, facts: PoolerFacts) -> None:
        if facts.database in self._held and not facts.paused:
            raise RefusedError(
                f"pooler {self.name}, database {facts.database}: the pause is gone; PgBouncer was"
                " restarted, or somebody resumed it, and clients may have gone on",
                remedy="nothing was re-pointed; look at PgBouncer's log, then start over",
            )

    def _must_point(
        self, console: Console, database: str, host: str, port: int, dbname: str
    ) -> None:
        after = self._facts(console, database)
        if not after.points_at(host, port, dbname):
            raise ServerError(
                f"pooler {self.name}, database {database}: it still points at {after.where} after"
                f" RELOAD, not at {host}:{port}/{dbname}",
                remedy=f"check that {self.ini} is the file this PgBouncer reads, and see its log",
            )

    def _edited(self, text: str, database: str, host: str, port: int, dbname: str) -> str:
        try:
            return pointed(text, database, host=host, port=port, dbname=dbname)
        except UsageError as error:
            files = ", ".join(includes(text))
            remedy = (
                f"it includes {files}: name the file that holds the entry"
                if files
                else ("name the ini file of this very PgBouncer")
            )
            raise UsageError(f"{self.ini}: {error.message}", remedy=remedy) from error

    def _written(self, database: str, host: str, port: int, dbname: str) -> bool:
        text = self._read()
        return self._edited(text, database, host, port, dbname) == text

    def _read(self) -> str:
        try:
            return self.ini.read_bytes().decode("utf-8", "surrogateescape")
        except OSError as error:
            raise NotPermittedError(
                f"pooler {self.name}: cannot read {self.ini}: {error.strerror}",
                remedy="name PgBouncer's ini file, readable and writable for this account",
            ) from error

    def _write(self, text: str, *, keep: bool = True) -> None:
        """Replace the file, its owner and mode kept, the version before beside it."""
        path = self.ini.resolve()
        try:
            stat = path.stat()
            owner = Account("", stat.st_uid, stat.st_gid)
            mode = stat.st_mode & 0o777
            if keep:
                backup = path.with_name(path.name + BACKUP_SUFFIX)
                write_atomically(backup, path.read_bytes(), mode=mode, owner=owner)
            data = text.encode("utf-8", "surrogateescape")
            write_atomically(path, data, mode=mode, owner=owner)
        except OSError as error:
            raise NotPermittedError(
                f"pooler {self.name}: cannot write {path}: {error.strerror}",
                remedy="run as an account that may write the file and its folder"
                f" (now uid {os.geteuid()})",
            ) from error


def _too_late(name: str, database: str, deadline: Deadline, holders: list[str]) -> DeadlineError:
    shown = "; ".join(holders[:_HOLDERS_SHOWN]) or "nobody any more"
    more = len(holders) - _HOLDERS_SHOWN
    if more > 0:
        shown += f"; and {more} more"
    return DeadlineError(
        f"pooler {name}, database {database}: transactions were still open after"
        f" {deadline.seconds:g} s, so clients go on as before; held by {shown}",
        remedy="end those transactions or wait for them, then try again, or give a longer deadline",
    )


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
