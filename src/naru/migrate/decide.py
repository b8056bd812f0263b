"""From facts to findings. Pure: no server is asked anything here."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from naru.migrate.facts import SHOWN, Extension, Facts, Names, Server
from naru.migrate.findings import Finding, found
from naru.migrate.identity import Change, TableIdentity, is_usable, plan

_ORDER = {"blocking": 0, "warning": 1, "note": 2}
_SLOTS_NEEDED = 1
_MINUTE = 60
_WAL_SENDER_MS = 30_000
_DECODING_KB = 64 * 1024


def decide(facts: Facts) -> tuple[Finding, ...]:
    """All findings, the blocking ones first."""
    findings = [one for part in _PARTS for one in part(facts)]
    return tuple(sorted(findings, key=lambda one: _ORDER[one.severity]))


def identity_plan(facts: Facts) -> list[Change]:
    """Replica identities that `start` gives, each with what the table has now."""
    return plan(facts.identities)


def _source_server(facts: Facts) -> Iterator[Finding]:
    source = facts.source
    name = source.database
    if source.version < 100000:
        yield found(
            "source.version",
            name,
            f"version {source.major} has no logical replication",
            "move it by pg_dump",
        )
    if source.in_recovery:
        yield found("source.recovery", name, "the server is a standby", "name its primary")
    level = source.settings.get("wal_level", "")
    if level != "logical":
        yield found(
            "source.wal-level",
            name,
            f"wal_level is {level}",
            "ALTER SYSTEM SET wal_level = 'logical'; then restart the server",
        )
    yield from _room(facts)


def _room(facts: Facts) -> Iterator[Finding]:
    source = facts.source
    for code, setting, used in (
        ("source.slots", "max_replication_slots", source.slots_used),
        ("source.walsenders", "max_wal_senders", source.walsenders_used),
    ):
        total = source.number(setting)
        if total - used < _SLOTS_NEEDED:
            yield found(
                code,
                setting,
                f"all {total} are taken",
                f"ALTER SYSTEM SET {setting} = {total + 4}; then restart, or drop one"
                " that nobody uses",
            )
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


def _source_rights(facts: Facts) -> Iterator[Finding]:
    login, activity = facts.source.login, facts.activity
    if not login.replication:
        yield found(
            "source.replication-privilege",
            login.user,
            "may not replicate",
            f'ALTER ROLE "{login.user}" REPLICATION',
        )
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
    if not login.create_on_database:
        yield found(
            "source.create-privilege",
            login.user,
            "may not make a publication",
            f'GRANT CREATE ON DATABASE "{facts.source.database}" TO "{login.user}"',
        )
    if not login.read_secrets:
        yield found(
            "source.passwords",
            login.user,
            "may not read pg_authid",
            "give roles that log in a new password on the target",
        )


def _source_activity(facts: Facts) -> Iterator[Finding]:
    activity = facts.activity
    for name in activity.prepared:
        yield found(
            "source.prepared-transaction",
            name,
            "is open",
            f"COMMIT PREPARED '{name}' or ROLLBACK PREPARED '{name}'",
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
            f'finish or abort that migration; if there is none: DROP PUBLICATION "{name}"',
        )
    for name, size in activity.inactive_slots:
        yield found(
            "source.inactive-slot",
            f"slot {name}",
            f"holds back {_bytes(size)} of WAL",
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
            f'REINDEX DATABASE "{facts.source.database}"; ALTER DATABASE'
            f' "{facts.source.database}" REFRESH COLLATION VERSION',
        )


def _source_settings(facts: Facts) -> Iterator[Finding]:
    source, size = facts.source, facts.size
    limit = int(source.settings.get("max_slot_wal_keep_size") or -1)
    if limit == -1:
        yield found(
            "source.slot-wal-unlimited",
            "max_slot_wal_keep_size",
            f"no limit; WAL grows by {_bytes(size.wal_bytes_per_second)} a second now",
            "watch the disk, or set a limit that the copy cannot reach",
        )
    elif size.wal_bytes_per_second * (size.read_seconds or 0) * 3 > limit * 1024**2:
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


def _target_server(facts: Facts) -> Iterator[Finding]:
    source, target, name = facts.source, facts.target, facts.target.database
    if target.major < source.major:
        yield found(
            "target.version",
            name,
            f"version {target.major} is older than the source's {source.major}",
            f"take a target of version {source.major} or newer",
        )
    if not any(one >= source.major for one in facts.programs):
        have = ", ".join(map(str, facts.programs)) or "none"
        yield found(
            "target.programs",
            "pg_dump",
            f"version {source.major} or newer is needed; here: {have}",
            f"install PostgreSQL {max(source.major, target.major)}'s client programs",
        )
    if target.in_recovery:
        yield found("target.recovery", name, "the server is a standby", "name its primary")
    if source.identifier is not None and source.identifier == target.identifier:
        yield found(
            "target.same-server",
            name,
            "source and target are one server",
            "name another server as the target",
        )
    yield from _target_room(target)


def _target_room(target: Server) -> Iterator[Finding]:
    for setting, least in (
        ("max_logical_replication_workers", 1),
        ("max_worker_processes", 2),
        ("max_replication_slots", 1),
    ):
        if target.number(setting) < least:
            yield found(
                "target.workers",
                setting,
                f"is {target.number(setting)}",
                f"ALTER SYSTEM SET {setting} = 8; then restart",
            )
    level = target.settings.get("wal_level", "")
    if level != "logical":
        yield found(
            "target.wal-level",
            target.database,
            f"wal_level is {level}",
            "ALTER SYSTEM SET wal_level = 'logical'; then restart the server",
        )
    for setting, used in (
        ("max_replication_slots", target.slots_used),
        ("max_wal_senders", target.walsenders_used),
    ):
        total = target.number(setting)
        if total - used < 1:
            yield found(
                "target.slots",
                setting,
                f"all {total} are taken",
                f"ALTER SYSTEM SET {setting} = {total + 4}; then restart",
            )


def _target_database(facts: Facts) -> Iterator[Finding]:
    source, target, state = facts.source, facts.target, facts.state
    if not state.exists:
        if target.login.create_db:
            yield found("target.database", target.database, "does not exist, and will be made")
        else:
            yield found(
                "target.create-database",
                target.database,
                f"does not exist, and {target.login.user} may not make it",
                f'ALTER ROLE "{target.login.user}" CREATEDB',
            )
    elif state.content.total and not state.begun:
        yield found(
            "target.not-empty",
            target.database,
            f"holds {_listed(state.content)}",
            "name a database that does not exist yet, or empty this one",
        )
    if state.exists and source.encoding != target.encoding:
        yield found(
            "target.encoding",
            target.database,
            f"is in {target.encoding}, the source in {source.encoding}",
            "drop the database; it is then made as the source's was",
        )
    here = (source.collate, source.ctype, source.provider, source.locale)
    there = (target.collate, target.ctype, target.provider, target.locale)
    if state.exists and here != there:
        yield found(
            "target.collation",
            target.database,
            f"sorts by {target.locale or target.collate}, the source by"
            f" {source.locale or source.collate}",
            "if the order of texts matters, drop the database; it is then made alike",
        )
    for name in state.missing_collations:
        yield found(
            "target.collation-missing",
            name,
            "is used by columns and missing there",
            "install the locale on the target's hosts, then SELECT"
            " pg_import_system_collations('pg_catalog')",
        )
    if state.reach_refused:
        yield found(
            "target.reach",
            target.database,
            state.reach_refused,
            "open the way from the target's hosts to the source, or give the source's"
            " address as they see it",
        )


def _target_rights(facts: Facts) -> Iterator[Finding]:
    login = facts.target.login
    if not login.create_subscription:
        yield found(
            "target.subscription-privilege",
            login.user,
            "may not make subscriptions",
            f'GRANT pg_create_subscription TO "{login.user}"'
            if facts.target.major >= 16
            else "log in as a superuser",
        )
    if facts.state.missing_roles and not login.create_role:
        yield found(
            "target.role-privilege",
            login.user,
            f"{facts.state.missing_roles} roles must be made, and it may not",
            f'ALTER ROLE "{login.user}" CREATEROLE, or make the roles yourself',
        )
    if not login.superuser:
        yield found(
            "target.not-superuser",
            login.user,
            "owners and extensions may be refused",
            "make it a member of every owner, with ADMIN OPTION from version 16 on",
        )
        triggers = facts.objects.get("schema.event-trigger", Names())
        if triggers.total:
            yield found(
                "target.event-trigger",
                _listed(triggers),
                "needs a superuser",
                "log in as a superuser, or drop it on the source",
            )


def _extensions(facts: Facts) -> Iterator[Finding]:
    for one in facts.extensions:
        yield from _extension(one)


def _extension(one: Extension) -> Iterator[Finding]:
    if one.available is None:
        yield found(
            "target.extension-missing",
            one.name,
            "is not available on the target",
            "install it there, have it allowed, or drop it on the source",
        )
    elif one.available != one.version:
        also = " (this one is there as well)" if one.same_available else ""
        yield found(
            "target.extension-version",
            one.name,
            f"comes as {one.available} instead of {one.version}{also}",
            "read its notes on what changed",
        )


def _identities(facts: Facts) -> Iterator[Finding]:
    lacking = [one for one in facts.identities if not is_usable(one)]
    for one in lacking[:SHOWN]:
        yield found(
            "schema.no-replica-identity",
            str(one.relation),
            "has no replica identity",
            f"start sets, finish and abort undo: {_identity_sql(one)}",
        )
    if len(lacking) > SHOWN:
        yield found(
            "schema.no-replica-identity",
            f"{len(lacking) - SHOWN} more tables",
            "have no replica identity",
            "all are in the plan of --json",
        )


def _identity_sql(one: TableIdentity) -> str:
    words = f'USING INDEX "{one.candidate}"' if one.candidate else "FULL"
    name = f'"{one.relation.schema}"."{one.relation.name}"'
    return f"ALTER TABLE {name} REPLICA IDENTITY {words}"


_OBJECTS: dict[str, tuple[str, str | None]] = {
    "source.table-owner": ("is not ours to publish", "log in as its owner, or a superuser"),
    "source.select-table": ("may not be read", "GRANT SELECT on it to our login"),
    "source.select-sequence": ("may not be read", "GRANT SELECT on it to our login"),
    "schema.replica-identity-full": (
        "is identified by whole rows",
        "REPLICA IDENTITY USING INDEX, if it has a unique index over NOT NULL columns",
    ),
    "schema.unlogged": ("is unlogged", "ALTER TABLE … SET LOGGED, or fill it anew"),
    "schema.large-objects": ("are in pg_largeobject", None),
    "schema.row-security": ("hides rows from our login", "ALTER ROLE … BYPASSRLS"),
    "schema.trigger-always": (
        "fires on applied changes",
        "ALTER TABLE … ENABLE TRIGGER …, unless that is what it is for",
    ),
    "schema.event-trigger": ("fires at DDL", "see that it lets our statements pass"),
    "schema.invalid-index": ("is invalid", "REINDEX INDEX, or drop it"),
    "schema.not-valid": ("is NOT VALID", None),
    "schema.deferrable-key": ("is deferrable", None),
    "schema.generated": ("is generated", None),
    "schema.identity": ("is an identity column", None),
    "schema.partitioned": ("is partitioned", None),
    "schema.materialized-view": ("is refreshed after the copy", None),
    "schema.foreign-table": ("is foreign", "see that the target reaches its server"),
    "schema.base-type": ("needs a library in C", "install that library on the target's hosts"),
    "schema.extension-rows": (
        "holds rows that belong to an extension",
        "copy them yourself after the extension is there",
    ),
    "schema.tablespace": ("stays behind", None),
    "schema.scheduled-jobs": ("may run jobs", "stop its jobs until the migration is finished"),
}


def _objects(facts: Facts) -> Iterator[Finding]:
    """Sorts of objects; notes in one line, others an object a line."""
    for code, (text, remedy) in _OBJECTS.items():
        names = facts.objects.get(code, Names())
        if not names.total:
            continue
        if found(code, "", "").severity == "note":
            yield found(code, _listed(names), text, remedy)
            continue
        for name in names.first:
            yield found(code, name, text, remedy)
        if names.more:
            yield found(code, f"{names.more} more", text, remedy)


def _listed(names: Names, most: int = 3) -> str:
    shown = ", ".join(names.first[:most])
    left = names.total - len(names.first[:most])
    return f"{shown} and {left} more" if left else shown


def _bytes(count: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 10_000:
            return f"{count:,.0f} {unit}"
        count /= 1024
    return f"{count:,.0f} TB"


_PARTS: tuple[Callable[[Facts], Iterator[Finding]], ...] = (
    _source_server,
    _source_rights,
    _source_activity,
    _source_settings,
    _target_server,
    _target_database,
    _target_rights,
    _extensions,
    _identities,
    _objects,
)
