"""A logical consumer through a failover: every acknowledged row reaches it."""

from __future__ import annotations

import contextlib
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import psycopg
from psycopg import sql

from naru.drill.crash import strike_primary
from naru.drill.gaps import commits_within
from naru.drill.planned import switch
from naru.drill.stage import Stage, workload_on
from naru.drill.strike import Struck, measure
from naru.drill.verdict import DrillVerdict, Promise
from naru.drill.workload import Workload
from naru.errors import DeadlineError, NaruError
from naru.postgres import Connection, Dsn, connect, fetch_all, fetch_value
from naru.service import Member, Service
from naru.service.restart import settled
from naru.system import wait_until

SLOT = "naru_drill_consumer"
KEPT_SECONDS = 60.0
CAUGHT_UP_SECONDS = 60.0
_QUIET_LOOKS = 3

_CREATE = "SELECT pg_create_logical_replication_slot(%s, 'pgoutput', false, false, true)"
_DROP = """
SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
WHERE slot_name = %s AND NOT active
"""
_PEEK = """
SELECT lsn::text, data FROM pg_logical_slot_peek_binary_changes(
    %s, NULL, 2000, 'proto_version', '1', 'publication_names', %s)
"""
_ADVANCE = "SELECT pg_replication_slot_advance(%s, %s)"
_HASTEN = "SELECT pg_log_standby_snapshot()"


class Consumer:
    """Reads the ledger's inserts from a failover slot: looks, keeps, and only then moves on."""

    def __init__(self, server: Dsn, run: str) -> None:
        self._server = server
        self._run = run
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self.seen: set[int] = set()

    def publish(self) -> None:
        """Make the publication: before the slot, which cannot decode what is older than it."""
        with connect(self._server, purpose="consumer") as connection:
            self._forget(connection)
            connection.execute(
                sql.SQL("CREATE PUBLICATION {} FOR TABLE naru_ledger.entry").format(
                    sql.Identifier(SLOT)
                )
            )

    def begin(self) -> None:
        """Make the slot, if nobody else does, and follow."""
        with connect(self._server, purpose="consumer") as connection:
            if connection.info.server_version >= 170000:
                connection.execute(_CREATE, [SLOT])
        self._thread.start()

    def close(self) -> None:
        """Stop, and take publication and slot away."""
        self._stopping.set()
        self._thread.join(timeout=30)
        with connect(self._server, purpose="consumer") as connection:
            self._forget(connection)

    def _forget(self, connection: Connection) -> None:
        if connection.info.server_version >= 170000:
            connection.execute(_DROP, [SLOT])
        connection.execute(sql.SQL("DROP PUBLICATION IF EXISTS {}").format(sql.Identifier(SLOT)))

    def _work(self) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(NaruError, psycopg.Error):
                with connect(self._server, purpose="consumer", seconds=2) as connection:
                    self._follow(connection)
            self._stopping.wait(0.2)

    def _follow(self, connection: Connection) -> None:
        while not self._stopping.wait(0.05):
            changes = fetch_all(connection, _PEEK, [SLOT, SLOT])
            for _, data in changes:
                row = inserted(bytes(data))
                if row is not None and row[0] == self._run:
                    self.seen.add(int(row[1]))
            if changes:
                connection.execute(_ADVANCE, [SLOT, changes[-1][0]])
            if connection.info.server_version >= 160000:
                fetch_value(connection, _HASTEN)


def inserted(message: bytes) -> tuple[str, ...] | None:
    """The values of an insert in pgoutput's protocol 1 as text; None for other messages.

    https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html
    """
    if message[:1] != b"I":
        return None
    (count,) = struct.unpack_from("!H", message, 6)
    return tuple(_values(message, 8, count))


def _values(message: bytes, at: int, count: int) -> Iterator[str]:
    for _ in range(count):
        kind = message[at : at + 1]
        at += 1
        if kind != b"t":
            yield ""
            continue
        (size,) = struct.unpack_from("!I", message, at)
        at += 4
        yield message[at : at + size].decode()
        at += size


def run(name: str, promise: Promise, stage: Stage) -> DrillVerdict:
    """kill -9 of the primary once a failover keeps the consumer's slot; all rows must arrive."""
    return _run(name, promise, stage, strike_primary)


def run_switched(name: str, promise: Promise, stage: Stage) -> DrillVerdict:
    """The same with a planned switchover."""
    return _run(name, promise, stage, switch)


def _run(
    name: str, promise: Promise, stage: Stage, strike_it: Callable[[Stage, Member], Struck]
) -> DrillVerdict:
    with workload_on(stage, name) as workload, stage.lead_watch() as leads:
        scene = stage.scene(workload, leads)
        consumer = Consumer(scene.ledger, workload.settings.run)
        consumer.publish()
        with _kept_slot(stage, scene.ledger.database), _following(consumer):
            since = time.time()
            wait_until(
                lambda: stage.service.keep_slot(SLOT), "the slot on all members", KEPT_SECONDS
            )

            def strike(primary: Member) -> Struck:
                struck = strike_it(stage, primary)
                return replace(struck, findings=lambda: _gap(consumer, workload, since))

            return measure(name, promise, scene, strike)


@contextlib.contextmanager
def _following(consumer: Consumer) -> Iterator[None]:
    consumer.begin()
    try:
        yield
    finally:
        consumer.close()


@contextlib.contextmanager
def _kept_slot(stage: Stage, database: str) -> Iterator[None]:
    """Before PostgreSQL 17 it is Patroni that makes a slot on every member and moves it on; it
    has to be told. Standbys are restarted for that, which is done when the block begins."""
    service = stage.service
    if service.installation.major >= 17:
        yield
        return

    def tell(slot: dict[str, str] | None) -> None:
        service.command(
            service.primary().name, "PATCH", "/config", {"slots": {SLOT: slot}}, seconds=10
        )

    _drop_everywhere(service)
    tell({"type": "logical", "database": database, "plugin": "pgoutput"})
    try:
        wait_until(
            lambda: service.slot_survives(SLOT) and settled(service.status()),
            "the slot on all members",
            KEPT_SECONDS,
        )
        yield
    finally:
        tell(None)
        _drop_everywhere(service)


def _drop_everywhere(service: Service) -> None:
    """Patroni leaves slots of pgoutput alone (`ignore_slots`), those that it has copied too.

    Until every member has read its configuration again a slot may come back.
    """
    quiet = 0

    def gone() -> bool:
        nonlocal quiet
        dropped = [_drop_at(service.member(one.name, "postgres")) for one in service.members()]
        quiet = 0 if any(dropped) else quiet + 1
        return quiet >= _QUIET_LOOKS

    wait_until(gone, f"slot {SLOT} to be gone everywhere", KEPT_SECONDS, every=1.0)


def _drop_at(member: Dsn) -> bool:
    """True if it was there, or if nobody could look."""
    with contextlib.suppress(NaruError, psycopg.Error):
        with connect(member, purpose="consumer", seconds=2) as connection:
            return bool(fetch_all(connection, _DROP, [SLOT]))
    return True


def _gap(consumer: Consumer, workload: Workload, since: float) -> tuple[str, ...]:
    """What the consumer never got of all that began after its slot was there."""
    end = time.time()

    def missing() -> set[int]:
        commits = commits_within(workload.folder, since, end)
        return {one.id for one in commits if one.began > since} - consumer.seen

    with contextlib.suppress(DeadlineError):
        wait_until(lambda: not missing(), "the consumer to catch up", CAUGHT_UP_SECONDS, every=1)
        return ()
    lost = missing()
    return (f"{len(lost)} acknowledged rows never reached the consumer",) if lost else ()
