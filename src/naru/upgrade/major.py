"""A major upgrade, in steps that survive a crash: beside, across, back, and the end of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace

from psycopg import sql

from naru.backup import Backups
from naru.errors import RefusedError, StoppedError, UsageError
from naru.journal import Step, perform
from naru.migrate import (
    Bounds,
    Crossed,
    Limits,
    Start,
    abort,
    admit,
    begin_anew,
    finish,
    must_be_whole,
    settle_pending,
    watching,
)
from naru.postgres import connect, fetch_all
from naru.service import Clusters, Service
from naru.system import SILENT, Observer, step
from naru.upgrade.crossing import cross_to
from naru.upgrade.plan import MAINTENANCE
from naru.upgrade.sides import End, Sides, begin, open_upgrade

__all__ = ["Upgrade", "begin", "open_upgrade"]

_SUPERUSERS = """
SELECT rolname::text FROM pg_roles WHERE rolsuper AND oid <> 10 AND rolname !~ '^(pg_|naru_)'
"""


class Upgrade:
    """One upgrade. Every method can be called again after it was cut off, and goes on."""

    def __init__(
        self,
        sides: Sides,
        *,
        jobs: int = 2,
        pause_seconds: float = 5.0,
        observer: Observer = SILENT,
    ) -> None:
        self.sides = sides
        self._run = sides.run
        self._jobs = jobs
        self._limits = Limits(pause_seconds=pause_seconds)
        self._observer = observer
        self._crossed: tuple[Crossed, ...] = ()

    # Beside

    def prepare(self) -> None:
        """Have the new cluster beside the old one, with every database copied and following."""
        self._must_not_be_ending()
        with self.sides.held(), ExitStack() as watches:
            self._perform(
                Step("cluster", "a cluster beside", self._cluster),
                Step("endpoints", "endpoints of both", self._endpoints),
                *(
                    Step(f"copy {one}", f"copy {one}", self._copying(one, watches))
                    for one in self.sides.databases
                ),
                Step("superusers", "superusers", self._superusers),
            )

    def _cluster(self) -> None:
        sides = self.sides
        sides.keep(replace(sides.clusters, live=sides.place("old"), beside=sides.place("new")))
        sides.service("new").up_members(self._observer)

    def _endpoints(self) -> None:
        """HAProxy is started anew, so clients of the pool wait for a moment."""
        live = self.sides.service(self.sides.live)
        with self.sides.pool.hold(live, self._limits.pause_seconds) as held:
            held.pause()
            live.up_endpoints()
            held.resume()

    def _copying(self, database: str, watches: ExitStack) -> Callable[[], None]:
        def act() -> None:
            sides = self.sides
            if sides.open_migration(database) is None:
                old, new = sides.dsn("old", database), sides.dsn("new", database)
                admit(old, new, jobs=self._jobs, observer=self._observer)
            record = sides.record(database)
            try:
                must_be_whole(record)
            except StoppedError as error:
                self._observer.note(f"{error.message}: it is copied anew")
                begin_anew(record, self._observer)
                record = sides.record(database)
            watched = watches.enter_context(watching(record, self._observer))
            Start(record, Bounds(jobs=self._jobs), watched).perform()

        return act

    def _superusers(self) -> None:
        """The migration gives nobody that attribute; here both sides are one service."""
        with connect(self.sides.dsn("old", MAINTENANCE), purpose="upgrade") as old:
            names = [name for (name,) in fetch_all(old, _SUPERUSERS)]
        with connect(self.sides.dsn("new", MAINTENANCE), purpose="upgrade") as new:
            there = {name for (name,) in fetch_all(new, "SELECT rolname::text FROM pg_roles")}
            for name in names:
                if name in there:
                    text = sql.SQL("ALTER ROLE {} SUPERUSER").format(sql.Identifier(name))
                    new.execute(text)

    # Across and back

    def switch(self, to: End, *, verify: bool = True) -> tuple[Crossed, ...]:
        """Move the clients to the cluster `to`, each database compared at its moment.

        Raises RefusedError when a gate is shut, or when the two differ: clients are then at
        `to`, and the message says how they go back.
        """
        self._must_not_be_ending()
        turn = self._turn(to)
        sides = self.sides
        with sides.held():
            self._perform(
                Step(f"{turn} cross", f"clients to {to}", lambda: self._cross(to, verify)),
                Step(f"{turn} lead", "the service's ports", lambda: self._lead(to)),
                Step(f"{turn} backups", "backups", lambda: self._backups(to)),
            )
        self._run.remember("switching", None)
        return self._crossed

    def _turn(self, to: End) -> int:
        """The number of this change of sides: one that was cut off goes on, if it goes there."""
        known = self._run.recall("switching")
        if known is not None and known["to"] == to:
            return int(known["turn"])
        turn = int(self._run.recall("turns", 0)) + 1
        self._run.remember("turns", turn)
        self._run.remember("switching", {"turn": turn, "to": to})
        return turn

    def _cross(self, to: End, verify: bool) -> None:
        """The pool is at the cluster's own port meanwhile: the service's port changes sides."""
        sides = self.sides
        sides.point_pool(sides.own_address(sides.live), only_from=(sides.service_address,))
        try:
            self._crossed = cross_to(
                sides, to, self._limits, self._observer,
                verify=verify, jobs=self._jobs, after=lambda: self._lead(to), keep=self._keep,
            )  # fmt: skip
        finally:
            sides.point_pool(sides.service_address, only_from=(sides.own_address(sides.live),))

    def _keep(self, one: Crossed) -> None:
        run, crossing = self._run, one.crossing
        run.figure(f"{one.database}.pause_ms", crossing.pause_ms, "ms")
        if crossing.verdict is not None:
            run.figure(f"{one.database}.rows", crossing.verdict.rows, "rows")
            run.figure(f"{one.database}.differences", crossing.verdict.differences)

    def _lead(self, to: End) -> None:
        """The service is that cluster from here: for every command, its ports, and the pool."""
        sides = self.sides
        other: End = "old" if to == "new" else "new"
        sides.keep(replace(sides.clusters, live=sides.place(to), beside=sides.place(other)))
        sides.service(to).lead_here(sides.service(other).layout)
        sides.point_pool(sides.service_address, only_from=(sides.own_address(to),))

    def _backups(self, to: End) -> None:
        """They follow the clients, into a catalogue of their own; what was kept before stays."""
        sides = self.sides
        if not sides.declared.backup.enabled:
            return
        other: End = "old" if to == "new" else "new"
        self._backups_of(other).stop()
        for end in (to, other):
            sides.service(end).apply_settings()
        self._backups_of(to).up()

    def _backups_of(self, end: End) -> Backups:
        spec = self.sides.place(end).of(self.sides.declared)
        return Backups(spec, self.sides.ground, Service(spec, self.sides.ground))

    # The end

    def finish(self) -> None:
        """Take the old cluster away: there is no way back from here.

        Raises UsageError while clients are there.
        """
        self._must_be_at("new", "--to")
        self._end("old", "finish")

    def abort(self) -> None:
        """Take the new cluster away; the service is as it was.

        Raises UsageError while clients, of one database or all, are there.
        """
        self._must_be_at("old", "--back")
        self._end("new", "abort")

    def _end(self, gone: End, how: str) -> None:
        sides = self.sides
        self._run.remember("ending", how)
        with sides.held():
            # Every time: `naru up` has started it again, if it was run in between.
            with step(self._observer, f"the {gone} cluster stops"):
                sides.service(gone).stop_members()
            self._perform(
                *(
                    Step(f"{how} {one}", f"{how} {one}", self._closing(one, how))
                    for one in sides.databases
                ),
                Step(f"{how} forget", "one cluster", lambda: self._forget(gone)),
                Step(f"{how} endpoints", "endpoints of one", self._endpoints),
                Step(f"{how} guardian", "the guardian", self._guard),
                Step(f"{how} remove", f"the {gone} cluster's data", sides.service(gone).take_away),
            )
        self._run.end("finished" if how == "finish" else "aborted")

    def _guard(self) -> None:
        self.sides.service(self.sides.live).guard()

    def _closing(self, database: str, how: str) -> Callable[[], None]:
        def act() -> None:
            # The other cluster is stopped for good: only this one is cleaned up.
            if self.sides.open_migration(database) is None:
                return
            record = self.sides.record(database)
            end = finish if how == "finish" else abort
            for line in end(record, gone=True, observer=self._observer).lines:
                self._observer.note(line)

        return act

    def _forget(self, gone: End) -> None:
        sides = self.sides
        # The clusters' own ports go; a switch that was cut off may have left the pool at one.
        own = sides.own_address("new" if gone == "old" else "old")
        sides.point_pool(sides.service_address, only_from=(own,))
        had: Clusters = sides.clusters
        past = had.past
        if gone == "old":
            past = (*(one for one in past if one.name != sides.place(gone).name), sides.place(gone))
        sides.keep(Clusters(sides.place("new" if gone == "old" else "old"), None, past))

    def _must_be_at(self, end: End, option: str) -> None:
        sides = self.sides
        side = "target" if end == "new" else "source"
        begun = [one for one in sides.databases if sides.open_migration(one) is not None]
        for one in begun:
            settle_pending(sides.record(one), sides.pooled(one), self._observer)
        elsewhere = [one for one in begun if sides.record(one).at != side]
        if sides.live != end or elsewhere:
            where = f" of {', '.join(elsewhere)}" if elsewhere else ""
            raise UsageError(
                f"clients{where} are not at the {end} cluster",
                remedy=f"naru service upgrade {option}"
                + (f" {sides.version}" if option == "--to" else "")
                + " first",
            )

    def _must_not_be_ending(self) -> None:
        how = self._run.recall("ending")
        if how is not None:
            raise RefusedError(
                f"this upgrade is being ended: --{how} was cut off",
                remedy=f"naru service upgrade --{how}",
            )

    def _perform(self, *steps: Step) -> None:
        perform(self._run, steps, tell=lambda step, state: self._observer.step(step.title, state))
