"""What the objects of a database say about its migration."""

from __future__ import annotations

from collections.abc import Iterator

from naru.migrate._wording import listed
from naru.migrate.facts import SHOWN, Facts, Names
from naru.migrate.findings import Finding, found
from naru.migrate.identity import TableIdentity, is_usable
from naru.migrate.names import quoted


def identities(facts: Facts) -> Iterator[Finding]:
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
    words = f"USING INDEX {quoted(one.candidate)}" if one.candidate else "FULL"
    name = quoted(one.relation.schema, one.relation.name)
    return f"ALTER TABLE {name} REPLICA IDENTITY {words}"


_OBJECTS: dict[str, tuple[str, str | None]] = {
    "source.table-owner": (
        "belongs to a superuser",
        "ALTER TABLE … OWNER TO a role that our login is a member of, or log in as a superuser",
    ),
    "source.schema-usage": ("may not be entered", "GRANT USAGE ON SCHEMA … to our login"),
    "source.select-table": ("may not be read", "GRANT SELECT on it to our login"),
    "source.select-sequence": ("may not be read", "GRANT SELECT on it to our login"),
    "schema.replica-identity-full": (
        "is identified by whole rows",
        "REPLICA IDENTITY USING INDEX, if it has a unique index over NOT NULL columns",
    ),
    "schema.unlogged": (
        "is unlogged, and copied once more at each switch",
        "nothing, or ALTER TABLE … SET LOGGED; a failover of the service empties unlogged tables",
    ),
    "schema.unlogged-large": (
        "is unlogged, and too large to be copied while clients wait",
        "ALTER TABLE … SET LOGGED, or TRUNCATE it before the start",
    ),
    "schema.enum-hash": (
        "is partitioned by hash of an enum",
        "partition it by LIST, or by HASH of the value cast to text",
    ),
    "schema.exclusion-of-partitions": (
        "is an exclusion constraint of all partitions together, which no dump carries",
        "drop it, and give each partition one of its own; it is the same to rows",
    ),
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


def objects(facts: Facts) -> Iterator[Finding]:
    """Sorts of objects; notes in one line, others an object a line."""
    for code, (text, remedy) in _OBJECTS.items():
        names = facts.objects.get(code, Names())
        if not names.total:
            continue
        if found(code, "", "").severity == "note":
            yield found(code, listed(names), text, remedy)
            continue
        for name in names.first:
            yield found(code, name, text, remedy)
        if names.more:
            yield found(code, f"{names.more} more", text, remedy)
