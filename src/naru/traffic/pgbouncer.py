"""PgBouncer under control: pause with a real deadline, re-point, resume."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from naru.errors import DeadlineError, NaruError, RefusedError, ServerError
from naru.postgres import Dsn
from naru.system import Deadline
from naru.traffic.console import Console, word
from naru.traffic.inistore import IniStore
from naru.traffic.observing import holders, observe
from naru.traffic.pooler import PoolerFacts, must_be_pausable

_HOLDERS_SHOWN = 5


class PgBouncer:
    """One PgBouncer: its admin console, and the ini file with the section [databases].

    From a pause to its resume it keeps one connection to the console, as time counts then;
    every call works without it too, across restarts of either side. Not for several threads.
    """

    def __init__(self, admin: Dsn, ini: Path) -> None:
        self.admin = admin
        self.ini = ini
        self._store = IniStore(ini)
        self._held: set[str] = set()
        self._kept: Console | None = None

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
        Raises RefusedError where the pool mode makes a pause impossible, and at once what
        would keep `point` from changing the ini file.
        """
        console = Console(self.admin)
        try:
            must_be_pausable(self._facts(console, database))
            self._store.must_be_editable(database)
            self._hold(console, database, deadline)
        except BaseException:
            console.close()
            raise
        self._keep(console)

    def _hold(self, console: Console, database: str, deadline: Deadline) -> None:
        """PAUSE, which answers only when the last transaction has ended.

        `console` waits for that, and everything else goes over other connections.
        """
        self._held.add(database)
        try:
            console.send(f"PAUSE {word(database)}")
            console.finish(deadline)
        except DeadlineError as error:
            held_by = self._holders(database)
            self.resume(database)
            raise _too_late(self.name, database, deadline, held_by) from error
        except BaseException:
            with contextlib.suppress(NaruError):
                self.resume(database)
            raise

    def resume(self, database: str) -> None:
        """Let clients go on. Harmless when they are not held."""
        with self._console() as console:
            try:
                console.command(f"RESUME {word(database)}")
            except ServerError as error:
                if "not paused" not in error.message:
                    raise
        self._held.discard(database)
        if not self._held:
            self._keep(None)

    @contextlib.contextmanager
    def _console(self) -> Iterator[Console]:
        """The connection kept since the pause while it answers, else one for this call."""
        if self._kept is not None and self._kept.answers():
            yield self._kept
            return
        with Console(self.admin) as console:
            yield console

    def _keep(self, console: Console | None) -> None:
        if self._kept is not None:
            self._kept.close()
        self._kept = console

    def point(self, database: str, host: str, port: int, dbname: str | None = None) -> None:
        """Rewrite the entry of `database`, RELOAD, and check that the pooler took it.

        The file as it was before stays beside it (`….before-naru`). If the pooler does not
        take the change, the file is put back and ServerError raised. If this object paused
        the database and the pause is gone, RefusedError: clients may have written meanwhile.
        """
        with self._console() as console:
            before = self._facts(console, database)
            self._must_still_hold(before)
            target = dbname or before.dbname
            text = self._store.read()
            wanted = self._store.edited(database, host, port, target)
            if wanted == text and before.points_at(host, port, target):
                return
            self._store.write(wanted)
            try:
                console.command("RELOAD")
                self._must_point(console, database, host, port, target)
            except NaruError:
                self._store.write(text, backup=False)
                with contextlib.suppress(NaruError):
                    console.command("RELOAD")
                raise

    def _facts(self, console: Console, database: str) -> PoolerFacts:
        return observe(console, self._store, database)

    def _holders(self, database: str) -> list[str]:
        try:
            with Console(self.admin) as console:
                return holders(console, database)
        except NaruError:
            return []

    def _must_still_hold(self, facts: PoolerFacts) -> None:
        if facts.database in self._held and not facts.paused:
            # Said once: whoever then puts things back must be able to.
            self._held.discard(facts.database)
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


def _too_late(name: str, database: str, deadline: Deadline, held_by: list[str]) -> DeadlineError:
    shown = "; ".join(held_by[:_HOLDERS_SHOWN]) or "nobody any more"
    more = len(held_by) - _HOLDERS_SHOWN
    if more > 0:
        shown += f"; and {more} more"
    return DeadlineError(
        f"pooler {name}, database {database}: transactions were still open after"
        f" {deadline.seconds:g} s, so clients go on as before; held by {shown}",
        remedy="end those transactions or wait for them, then try again, or give a longer deadline",
    )
