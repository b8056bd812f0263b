"""Backups of the service: taken, listed, deleted, and what can be restored from them."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from pathlib import Path
from zoneinfo import ZoneInfo

from naru.backup.barman import Barman, check_name
from naru.backup.catalogue import Backup, read_catalogue
from naru.backup.deletion import DeletionPlan, plan_deletion
from naru.backup.gap import Gap, flushed, measure_gap
from naru.backup.keeping import RECEIVER, Keeping
from naru.backup.plan import Facts, Limits, Moment, RestorePlan, limits_of, plan_restore
from naru.backup.segments import Inventory, looking_again, take_inventory
from naru.backup.store import store_of
from naru.backup.target import Target
from naru.backup.waldump import Arrival, End, last_end, locate, received_until
from naru.errors import NaruError, ProcessError, RefusedError, UsageError
from naru.ground import Ground
from naru.postgres import Installation, Lsn, connect, fetch_value
from naru.service import Service
from naru.spec import Spec
from naru.system import SILENT, Account, Observer, wait_until

START_SECONDS = 60
CATCH_UP_SECONDS = 30
BACKUP_SECONDS = 24 * 3600.0

_MARK = "SELECT pg_logical_emit_message(true, 'naru', 'received')"
"""A transaction with nothing in it but WAL: its end bounds what was committed before it."""


class Backups:
    """The backup host of one environment.

    Unless it is `growing`, it belongs to a cluster that is not the service any more: what was
    kept can be restored, and nothing is added.
    """

    def __init__(
        self, spec: Spec, ground: Ground, service: Service, *, growing: bool = True
    ) -> None:
        self._spec = spec
        self._growing = growing
        self._ground = ground
        self._service = service
        self.store = store_of(spec, ground)
        self.barman = Barman(self.store, ground)
        self.keeping = Keeping(spec, ground, service, self.store)

    @property
    def host(self) -> str:
        """The backup host's lab address."""
        return self._spec.backup.host

    @property
    def installation(self) -> Installation:
        """The PostgreSQL programs that read WAL and data here: the service's."""
        return self._service.installation

    @property
    def zone(self) -> ZoneInfo:
        """In which moments are told."""
        return ZoneInfo(self._spec.service.timezone)

    @property
    def account(self) -> Account:
        """Whom its programs run as."""
        return self._ground.account

    def up(self) -> None:
        """Have WAL received and backups taken by schedule; nothing runs where they are off."""
        if not self._spec.backup.enabled:
            self.switch_off()
            return
        self.keeping.prepare()
        self.keeping.start()
        self._ground.wait(RECEIVER, self.receives, "WAL to arrive", START_SECONDS)

    def stop(self) -> None:
        """Stop its programs; what they keep stays."""
        self.keeping.stop()

    def switch_off(self) -> None:
        """Have no programs; what they kept stays."""
        self.keeping.take_away()

    def must_be_on(self) -> None:
        """Raise UsageError unless backups are switched on and were set up."""
        if not self._spec.backup.enabled:
            raise UsageError(
                "backups are switched off",
                remedy="write enabled = true under [backup] in naru.toml, then run `naru up`",
            )
        if not self.store.config.exists():
            raise UsageError("backups were not set up yet", remedy="run `naru up`")

    # What there is

    def receives(self) -> bool:
        """True once a first piece of WAL has arrived."""
        return self.inventory().newest is not None

    def inventory(self) -> Inventory:
        """The WAL on the backup host."""
        return self._look(self.store.wal_folders)

    def _look(self, folders: tuple[Path, ...]) -> Inventory:
        size = self.segment_size
        return looking_again(lambda: take_inventory(folders, size))

    @property
    def segment_size(self) -> int:
        """Bytes of a WAL segment; of what grows no more, as its backups say."""
        if self._growing:
            return self.keeping.segment_size
        return next((one.segment_size for one in self.catalogue()), 16 * 2**20)

    def catalogue(self) -> tuple[Backup, ...]:
        """Every backup, oldest first, whatever its state."""
        return read_catalogue(self.store.home / self.store.server)

    def received(self) -> Arrival:
        """Where the WAL that has arrived ends."""
        arriving = self._look((self.store.streaming,))
        inventory = arriving if arriving.newest is not None else self.inventory()
        return received_until(self.installation, inventory)

    def gap(self) -> Gap:
        """What would be lost if the service vanished at this moment."""
        return measure_gap(self._service.writer("postgres"), self.received, self.store.streaming)

    def facts(self, timeline: int | None = None) -> Facts:
        """What a plan rests on. Raises RefusedError before the first WAL has arrived."""
        return looking_again(lambda: self._facts(timeline))

    def _facts(self, timeline: int | None) -> Facts:
        inventory, backups = self.inventory(), self.catalogue()
        newest = inventory.newest
        if newest is None:
            raise RefusedError("no WAL has arrived yet", remedy="see `naru service backup check`")
        chosen = timeline if timeline is not None else newest.timeline
        reached = max((one for one in inventory.paths if one.timeline == chosen), default=None)
        if reached is None:
            there = ", ".join(str(n) for n in sorted({one.timeline for one in inventory.paths}))
            raise UsageError(f"there is no timeline {chosen}", remedy=f"there are: {there}")
        end, valid = last_end(self.installation, inventory, reached)
        last = _last(end, valid, inventory.size * (reached.number + 1), backups)
        return Facts(backups, inventory, chosen, last, self.zone)

    def limits(self, timeline: int | None = None) -> Limits:
        """The first and the last moment that can be restored now."""
        return limits_of(self.facts(timeline))

    # What can be done

    def catch_up(self) -> Arrival | None:
        """Commit something, and wait until it has arrived: then all before it has as well.

        None when the service takes no writes, or what is kept here grows no more; what has arrived
        so far is then all there is.
        """
        if not self._growing:
            return None
        try:
            with connect(self._service.writer("postgres"), purpose="backup", seconds=3) as line:
                line.execute("SET statement_timeout = '10s'")
                line.execute(_MARK)
                wanted = flushed(line)
        except NaruError:
            return None
        wait_until(
            lambda: self.received() >= wanted,
            f"WAL up to {wanted} to arrive on the backup host",
            CATCH_UP_SECONDS,
        )
        return wanted

    def plan(
        self, target: Target, *, timeline: int | None = None, from_backup: str | None = None
    ) -> RestorePlan:
        """Decide how `target` is restored, with the WAL of this moment on the backup host.

        Raises RefusedError with the limits, or the gap, when it cannot be.
        """
        self.catch_up()
        return looking_again(lambda: self._plan(target, timeline, from_backup))

    def _plan(self, target: Target, timeline: int | None, from_backup: str | None) -> RestorePlan:
        facts, installation = self._facts(timeline), self.installation
        return plan_restore(
            target,
            facts,
            lambda target, run: locate(installation, facts.inventory, target, run),
            from_backup=from_backup,
        )

    def take(
        self, *, name: str | None = None, incremental: bool = False, observer: Observer = SILENT
    ) -> Backup:
        """Take a backup now; a named one also leaves a restore point of that name behind it."""
        if name is not None and any(one.name == check_name(name) for one in self.catalogue()):
            raise UsageError(f"there is a backup named {name} already", remedy="name it otherwise")
        if incremental:
            self._can_be_incremental()
        before, began = {one.id for one in self.catalogue()}, time.time()
        with ThreadPoolExecutor(max_workers=1) as pool:
            work = pool.submit(
                self.barman.backup, name=name, incremental=incremental, seconds=BACKUP_SECONDS
            )
            self._show(work, before, observer)
            try:
                work.result()
            except ProcessError as error:
                raise self._explained(error, before) from error
        if not incremental:
            self.keeping.full_taken(began)
        if name is not None:
            self._leave_restore_point(name)
        new = [one for one in self.catalogue() if one.id not in before and one.name == name]
        return new[-1]

    def _explained(self, error: ProcessError, before: set[str]) -> NaruError:
        crossed = [one for one in self.catalogue() if one.id not in before and one.crossed]
        if not crossed:
            return error
        return RefusedError(
            f"another member took the lead while backup {crossed[-1].id} was taken: where it ends"
            " is not known, and nothing is restored from it",
            remedy=f"naru service backup; and naru service backup delete {crossed[-1].id}",
        )

    def _can_be_incremental(self) -> None:
        major = self.installation.major
        if major < 17:
            raise UsageError(
                f"PostgreSQL {major} has no incremental backups", remedy="leave --incremental out"
            )
        if not any(one.whole for one in self.catalogue()):
            raise RefusedError(
                "there is no backup to build on", remedy="take a full one: `naru service backup`"
            )

    def _leave_restore_point(self, name: str) -> None:
        with connect(self._service.writer("postgres"), purpose="backup") as connection:
            connection.execute("SELECT pg_create_restore_point(%s)", [name])

    def _show(self, work: Future[None], before: set[str], observer: Observer) -> None:
        with connect(self._service.writer("postgres"), purpose="backup") as connection:
            query = "SELECT sum(pg_database_size(oid))::int8 FROM pg_database"
            total = int(fetch_value(connection, query))
        observer.progress("backup", 0, total, "bytes")
        done = _waiter(work)
        while not done():
            size = sum(
                folder_size(folder)
                for folder in self.store.base.glob("*/data")
                if folder.parent.name not in before
            )
            observer.progress("backup", min(size, total - 1), total, "bytes")
        observer.progress("backup", total, total, "bytes")

    def plan_deletion(self, ids: list[str]) -> DeletionPlan:
        """What goes with the backups named, and what can be restored afterwards."""
        return plan_deletion(ids, self.facts())

    def delete(self, plan: DeletionPlan) -> None:
        """Carry out a plan."""
        for one in plan.named:
            self.barman.delete(one.id)


def _last(
    end: End | None, valid: Lsn | None, segment_end: int, backups: tuple[Backup, ...]
) -> Moment:
    """The last moment there is: the end of a transaction, or of a backup where none followed."""
    ends = [one.end for one in backups if one.whole and one.end is not None]
    at = end.at if end is not None else max(ends, default=None)
    if at is None:
        raise RefusedError(
            "nothing can be restored yet: there is no backup", remedy="`naru service backup`"
        )
    return Moment(at, valid if valid else Lsn(segment_end))


def _waiter(work: Future[None], seconds: float = 0.5) -> Callable[[], bool]:
    def done() -> bool:
        try:
            work.exception(timeout=seconds)
        except NotYet:
            return False
        return True

    return done


def folder_size(folder: Path) -> int:
    """Bytes of all files below `folder`, as far as they stay while one looks."""
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(where, name)).st_size  # noqa: PTH118
    return total
