"""Watching the WAL that a migration holds back, and giving the migration up before it harms.

The watch looks on connections of its own. `start` has one beside its work; `naru migrate watch`
is one that stays while nobody looks.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence

from naru.errors import NaruError, StoppedError
from naru.migrate import channel as channels
from naru.migrate import snapshot
from naru.migrate.disk import Disk, observe_disk
from naru.migrate.plan import SWITCH
from naru.migrate.record import Record
from naru.migrate.retention import ANEW, Retention, RetentionFacts, decide
from naru.migrate.sides import explained
from naru.postgres import Connection, fetch_one
from naru.system import Observer

EVERY_SECONDS = 5.0
_DISK_SECONDS = 60.0
"""So often the server is asked for its disk; the slots are looked at each time."""

_WORST = ("missing", "lost", "unreserved", "extended", "reserved", "unknown")

_SLOTS = """
SELECT count(*), coalesce(max(pg_catalog.pg_current_wal_lsn() - s.restart_lsn), 0)::int8,
       coalesce(array_agg(pg_catalog.to_jsonb(s) ->> 'wal_status'), '{}'),
       pg_catalog.pg_size_bytes(current_setting('max_slot_wal_keep_size', true))
FROM pg_catalog.pg_replication_slots s WHERE s.slot_name = ANY (%s)
"""

_BOUND = "retain at most"
_GIVEN_UP = "given up"


def bound_of(record: Record) -> int | None:
    """The bytes of WAL that the user lets this migration hold back; None if not said."""
    known = record.run.recall(_BOUND)
    return None if known is None else int(known)


def set_bound(record: Record, bound: int | None) -> None:
    """Keep the user's bound for every later command; None leaves an earlier one."""
    if bound is not None:
        record.run.remember(_BOUND, bound)


def why_given_up(record: Record) -> str | None:
    """Why the slots of this migration were dropped by us, if they were."""
    known = record.run.recall(_GIVEN_UP)
    return None if known is None else str(known)


def observe_retention(
    record: Record,
    live: Connection,
    disk: Disk | None = None,
    *,
    needed: Sequence[str] | None = None,
) -> Retention | None:
    """What the slots hold back on the side that takes writes; None if there is none to hold.

    `needed` are the slots to look at that must be there; by default all of the migration's,
    which need not be there before rows are copied.
    """
    names = [one.name for one in record.channels] if needed is None else list(needed)
    if not names:
        return None
    count, retained, statuses, keep_size = fetch_one(live, _SLOTS, [names])
    must_be = needed is not None or record.run.is_done("copy")
    expected = len(names) if must_be else count
    known = ["missing"] if count < expected else [one or "unknown" for one in statuses]
    return decide(
        RetentionFacts(
            retained=retained,
            wal_status=min(known, key=_WORST.index, default="unknown"),
            keep_size=None if keep_size is None or keep_size < 0 else keep_size,
            disk=disk,
            bound=bound_of(record),
        )
    )


class Watch:
    """Looks again and again, and gives the migration up when it must. Close it at the end."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._link: Connection | None = None
        self._disk: Disk | None = None
        self._disk_at = 0.0

    def look(self) -> Retention | None:
        """Judge now, and act on `critical`; None while a switch is in hand, or nothing to watch.

        Raises StoppedError when it has given the migration up; what connecting raises
        otherwise, and the next look connects anew.
        """
        if self._record.run.recall(SWITCH) is not None:
            self.close()  # writes are about to change sides
            return None
        try:
            seen = self._observe()
            if seen is not None and seen.level == "critical":
                give_up(self._record, seen)
                must_not_be_given_up(self._record)
        except BaseException:
            self.close()
            raise
        return seen

    def _observe(self) -> Retention | None:
        live = self._record.live
        if self._link is None:
            self._link = live.connect("watch")
        with explained(live, "looking at the slots"):
            if bound_of(self._record) is None and time.monotonic() >= self._disk_at:
                self._disk = observe_disk(self._link)
                self._disk_at = time.monotonic() + _DISK_SECONDS
            return observe_retention(self._record, self._link, self._disk)

    def close(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None


def give_up(record: Record, seen: Retention) -> None:
    """Drop the slots on the side that takes writes, whoever uses them; remember why."""
    record.run.remember(_GIVEN_UP, seen.text)
    try:
        with record.live.connect("give up") as live, explained(record.live, "dropping slots"):
            for one in record.channels:
                channels.drop_slot(one, live)
    except NaruError:
        record.run.forget(_GIVEN_UP)
        raise
    snapshot.forget(record.run)
    record.run.event("watch.gave-up", seen.text, retained=seen.retained)
    # The other side would ask for the slots over and over; it may be out of reach.
    with contextlib.suppress(NaruError):
        with record.other.connect("give up") as other, explained(record.other, "giving up"):
            for one in record.channels:
                channels.disable(one, other)


def _told(record: Record, why: str) -> tuple[str, str]:
    """Message of an error, and its remedy."""
    remedy = ANEW if record.at == "source" else "naru migrate finish: there is no way back any more"
    return f"{record.live}: the slots were dropped before its disk could fill: {why}", remedy


def must_not_be_given_up(record: Record) -> None:
    """Raise StoppedError if a watch has dropped the slots."""
    why = why_given_up(record)
    if why is not None:
        message, remedy = _told(record, why)
        raise StoppedError(message, remedy=remedy)


@contextlib.contextmanager
def watching(record: Record, observer: Observer) -> Iterator[Observer]:
    """Watch in the background of the block; give the observer that its work is to use.

    When the watch has given up, that observer's next word ends the work, and StoppedError
    says why. Warnings are noted once each.
    """
    companion = _Companion(record, observer)
    thread = threading.Thread(target=companion.run, name="watch", daemon=True)
    thread.start()
    try:
        yield companion
    except Exception as error:
        if companion.ended_by is not None:
            raise companion.ended_by from error
        raise
    finally:
        companion.stop.set()
        thread.join(timeout=10)
    companion.go_on()


class _Companion:
    """An observer beside whose work a watch looks."""

    def __init__(self, record: Record, observer: Observer) -> None:
        self.stop = threading.Event()
        self.ended_by: StoppedError | None = None
        self._watch = Watch(record)
        self._observer = observer
        self._level = "ok"

    def run(self) -> None:
        while not self.stop.wait(EVERY_SECONDS):
            try:
                seen = self._watch.look()
            except StoppedError as error:
                self.ended_by = error
                return
            except NaruError:
                continue  # the work itself will say that the server is out of reach
            if seen is not None and seen.level != self._level:
                self._level = seen.level
                if seen.level != "ok":
                    self._observer.note(f"{seen.text} → {seen.remedy}")
        self._watch.close()

    def go_on(self) -> None:
        """Raise what the watch has ended with, if it has."""
        if self.ended_by is not None:
            raise self.ended_by

    def step(self, title: str, state: str) -> None:
        self._observer.step(title, state)
        if state == "running":
            self.go_on()

    def progress(
        self, what: str, done: int, total: int | None, unit: str, *, detail: str = ""
    ) -> None:
        self.go_on()
        self._observer.progress(what, done, total, unit, detail=detail)

    def note(self, text: str) -> None:
        self._observer.note(text)
