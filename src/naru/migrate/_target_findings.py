"""What the target says about a migration."""

from __future__ import annotations

from collections.abc import Iterator

from naru.migrate._room import taken, too_few_workers
from naru.migrate._wording import listed
from naru.migrate.facts import Extension, Facts, Server
from naru.migrate.findings import Finding, found, lacking
from naru.migrate.names import quoted
from naru.migrate.versions import OLDEST, is_tested, proven_moves


def server(facts: Facts) -> Iterator[Finding]:
    source, target, name = facts.source, facts.target, facts.target.database
    if target.major < source.major:
        yield found(
            "target.version",
            name,
            f"version {target.major} is older than the source's {source.major}",
            f"take a target of version {source.major} or newer",
        )
    elif source.major >= OLDEST and not is_tested(source.major, target.major):
        yield found(
            "target.untested",
            name,
            f"moves from PostgreSQL {source.major} to {target.major} are not tested, but moves"
            f" {proven_moves()}",
            "rehearse it with a copy, or take a target between",
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
    yield from _target_room(target, facts.databases)


def _target_room(target: Server, databases: int) -> Iterator[Finding]:
    yield from too_few_workers("target.workers", target, databases)
    if target.settings.get("wal_receiver_timeout") == "0":
        yield found(
            "target.receiver-timeout",
            "wal_receiver_timeout",
            "is off: the target would wait for ever on a connection that has gone silent",
            "ALTER SYSTEM SET wal_receiver_timeout = '60s'; SELECT pg_reload_conf()",
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
        if total - used < databases:
            yield found(
                "target.slots",
                setting,
                taken(total, used, databases),
                f"ALTER SYSTEM SET {setting} = {used + databases + 4}; then restart",
            )


def database(facts: Facts) -> Iterator[Finding]:
    source, target, state = facts.source, facts.target, facts.state
    if not state.exists:
        if target.login.create_db:
            yield found("target.database", target.database, "does not exist, and will be made")
        else:
            yield lacking(
                "target.create-database",
                target.database,
                f"does not exist, and {target.login.user} may not make it",
                f"ALTER ROLE {quoted(target.login.user)} CREATEDB",
            )
    elif state.begun:
        yield found(
            "target.begun",
            target.database,
            "a migration or a restore has begun there",
            "go on with it by the same command, in the folder where it was begun; or give it up"
            " (naru migrate abort, there), or drop the database",
        )
    elif state.content.total or state.large_objects:
        large = f"{state.large_objects:,} large objects"
        yield found(
            "target.not-empty",
            target.database,
            f"holds {listed(state.content) if state.content.total else large}",
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
            "cannot be had there",
            "install the locale (or a PostgreSQL with ICU) on the target's hosts, then SELECT"
            " pg_import_system_collations('pg_catalog')",
        )
    if state.reach_untried:
        yield found(
            "target.reach-untried",
            target.database,
            "whether its server can log in at the source could not be tried",
            f"make the database (CREATE DATABASE {quoted(target.database)} TEMPLATE template0) and"
            " assess again",
        )
    if state.reach_refused:
        yield found(
            "target.reach",
            target.database,
            state.reach_refused,
            "open the way from the target's hosts to the source, or give the source's"
            " address as they see it",
        )


def extensions(facts: Facts) -> Iterator[Finding]:
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
