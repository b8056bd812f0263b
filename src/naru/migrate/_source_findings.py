"""What the source says about a migration."""

from __future__ import annotations

from collections.abc import Iterator

from naru.migrate._room import taken, too_few_workers
from naru.migrate._wording import amount
from naru.migrate.facts import Facts
from naru.migrate.findings import Finding, found
from naru.migrate.names import literal, quoted
from naru.migrate.versions import OLDEST

_MINUTE = 60
_WAL_SENDER_MS = 30_000
_DECODING_KB = 64 * 1024


def server(facts: Facts) -> Iterator[Finding]:
    source = facts.source
    name = source.database
    if source.major < OLDEST:
        yield found("source.version", name, f"is of version {source.major}", "move it by pg_dump")
    if source.in_recovery:
        yield found("source.recovery", name, "the server is a standby", "name its primary")
    level = source.settings.get("wal_level", "")
    if level != "logical":
        yield found(
            "source.wal-level",
            name,
            f"wal_level is {level}",
            "ALTER SYSTEM SET wal_level = 'logical'; then restart the server; or, where writes may"
            " rest meanwhile, go by dump: naru migrate dump",
        )
    yield from _room(facts)


def _room(facts: Facts) -> Iterator[Finding]:
    source = facts.source
    for code, setting, used in (
        ("source.slots", "max_replication_slots", source.slots_used),
        ("source.walsenders", "max_wal_senders", source.walsenders_used),
    ):
        total = source.number(setting)
        if total - used < facts.databases:
            yield found(
                code,
                setting,
                taken(total, used, facts.databases),
                f"ALTER SYSTEM SET {setting} = {used + facts.databases + 4}; then restart, or"
                " drop one that nobody uses",
            )
    yield from too_few_workers("source.workers", source, facts.databases)
    reserved = source.number("superuser_reserved_connections")
    total = source.number("max_connections") - (0 if source.login.superuser else reserved)
    needed = facts.jobs * 2 + 4
    if total - source.connections_used < needed:
        yield found(
            "source.connections",
            "max_connections",
            f"{total - source.connections_used} are free, {needed} are needed",
            "end idle sessions, raise max_connections, or take fewer --jobs",
        )


def replication(facts: Facts) -> Iterator[Finding]:
    activity = facts.activity
    if activity.replication_refused:
        yield found(
            "source.replication-connection",
            facts.source.database,
            activity.replication_refused,
            "name the server itself, no pooler, and let this login in by pg_hba.conf",
        )
    if activity.slot_refused:
        yield found(
            "source.slot-refused",
            facts.source.database,
            activity.slot_refused,
            "end long transactions, or see the source's log",
        )
    if activity.balanced:
        yield found(
            "source.balanced",
            facts.source.database,
            "connections to this address reach different servers",
            "name the primary itself",
        )


def activities(facts: Facts) -> Iterator[Finding]:
    activity = facts.activity
    for name in activity.prepared:
        yield found(
            "source.prepared-transaction",
            name,
            "is open",
            f"COMMIT PREPARED {literal(name)} or ROLLBACK PREPARED {literal(name)}",
        )
    for pid, user, age in activity.long_transactions:
        if age >= _MINUTE:
            yield found(
                "source.long-transaction",
                f"process {pid}",
                f"{user} has had a transaction open for {age:.0f} s",
                f"wait for it, or SELECT pg_terminate_backend({pid})",
            )
    for name in activity.own_slots:
        yield found(
            "source.leftover",
            f"slot {name}",
            "exists",
            "finish or abort that migration; if there is none: SELECT"
            f" pg_drop_replication_slot('{name}')",
        )
    for name in activity.own_publications:
        yield found(
            "source.leftover",
            f"publication {name}",
            "exists",
            f"finish or abort that migration; if there is none: DROP PUBLICATION {quoted(name)}",
        )
    for name, size in activity.inactive_slots:
        yield found(
            "source.inactive-slot",
            f"slot {name}",
            f"holds back {amount(size)} of WAL",
            f"if nobody needs it: SELECT pg_drop_replication_slot('{name}')",
        )
    for name in activity.publications:
        yield found(
            "source.publication", name, "stays behind", "make it on the target when it is needed"
        )
    for name in activity.subscriptions:
        yield found(
            "source.subscription",
            name,
            "stays behind, and its tables are written here",
            "make it on the target right after the cutover",
        )
    for name in activity.superuser_clients:
        yield found(
            "source.superuser-clients",
            name,
            "is connected as a superuser",
            "let applications log in as roles without SUPERUSER",
        )
    if activity.collation_changed:
        yield found(
            "source.collation-version",
            facts.source.database,
            "its collation's version differs from the system's",
            f"REINDEX DATABASE {quoted(facts.source.database)}; ALTER DATABASE"
            f" {quoted(facts.source.database)} REFRESH COLLATION VERSION",
        )


def settings(facts: Facts) -> Iterator[Finding]:
    source, size = facts.source, facts.size
    limit = int(source.settings.get("max_slot_wal_keep_size") or -1)
    if limit == -1:
        rate = size.wal_bytes_per_second
        growing = f"; WAL grows by {amount(rate)} a second now" if rate is not None else ""
        yield found(
            "source.slot-wal-unlimited",
            "max_slot_wal_keep_size",
            f"no limit{growing}",
            "watch the disk, or set a limit that the copy cannot reach",
        )
    elif (size.wal_bytes_per_second or 0) * (size.read_seconds or 0) * 3 > limit * 1024**2:
        yield found(
            "source.slot-wal-limited",
            "max_slot_wal_keep_size",
            f"{limit} MB may be reached during the copy",
            "ALTER SYSTEM SET max_slot_wal_keep_size = -1; SELECT pg_reload_conf()",
        )
    timeout = source.number("wal_sender_timeout")
    if 0 < timeout < _WAL_SENDER_MS:
        yield found(
            "source.wal-sender-timeout",
            "wal_sender_timeout",
            f"only {timeout} ms",
            "ALTER SYSTEM SET wal_sender_timeout = '60s'; SELECT pg_reload_conf()",
        )
    if source.settings.get("wal_sender_timeout") == "0":
        yield found(
            "source.wal-sender-timeout",
            "wal_sender_timeout",
            "is off: a connection that died keeps its slot, and following cannot begin again",
            "ALTER SYSTEM SET wal_sender_timeout = '60s'; SELECT pg_reload_conf()",
        )
    memory = source.number("logical_decoding_work_mem")
    if 0 < memory < _DECODING_KB:
        yield found(
            "source.decoding-memory",
            "logical_decoding_work_mem",
            f"{memory} kB",
            "ALTER SYSTEM SET logical_decoding_work_mem = '64MB'",
        )
    locks = source.number("max_locks_per_transaction") * (
        source.number("max_connections") + source.number("max_prepared_transactions")
    )
    if size.tables > locks:
        yield found(
            "source.locks",
            "max_locks_per_transaction",
            f"room for {locks} locks, and {size.tables} tables",
            "ALTER SYSTEM SET max_locks_per_transaction = 256; then restart",
        )
