"""What `assess` can report: every code with its severity, its meaning and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

Severity = Literal["blocking", "warning", "note"]


@dataclass(frozen=True)
class Kind:
    """A code of findings, as the reference explains it."""

    severity: Severity
    meaning: str


@dataclass(frozen=True)
class Finding:
    """One thing that stops a migration (`blocking`), endangers it, or is good to know."""

    code: str
    severity: Severity
    object: str
    text: str
    remedy: str | None
    grant: str | None = None
    """The statement that gives a missing right, to be run on the side that the code names."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        then = f" → {self.remedy}" if self.remedy else ""
        return f"{self.severity} {self.code} {self.object}: {self.text}{then}"


def found(code: str, object: str, text: str, remedy: str | None = None) -> Finding:
    """A finding of a known code."""
    return Finding(code, KINDS[code].severity, object, text, remedy)


def lacking(code: str, object: str, text: str, grant: str) -> Finding:
    """A finding of a right that is missing, with the statement that gives it."""
    return Finding(code, KINDS[code].severity, object, text, grant, grant)


KINDS: dict[str, Kind] = {
    "source.version": Kind(
        "blocking",
        "The source is older than PostgreSQL 12, which cannot be followed.",
    ),
    "source.recovery": Kind(
        "blocking",
        "The source is a standby; changes can only be followed from its primary.",
    ),
    "source.wal-level": Kind(
        "blocking",
        "Following needs `wal_level = logical`, and a restart to set it.",
    ),
    "source.slots": Kind("blocking", "No replication slot is free, or too few for all databases."),
    "source.walsenders": Kind("blocking", "No WAL sender is free, or too few for all databases."),
    "source.workers": Kind(
        "blocking",
        "The way back is a subscription on the source, for each database; too few workers or "
        "slots are set for them.",
    ),
    "source.connections": Kind("blocking", "Too few connections are free for the workers."),
    "source.replication-privilege": Kind(
        "blocking",
        "Our login has not the attribute REPLICATION.",
    ),
    "source.replication-connection": Kind(
        "blocking",
        "A replication connection is refused, for instance by pg_hba.conf or a pooler.",
    ),
    "source.slot-refused": Kind("blocking", "A temporary logical slot could not be made."),
    "source.balanced": Kind(
        "blocking",
        "Connections to the source's address reach different servers.",
    ),
    "source.create-privilege": Kind(
        "blocking",
        "Publications need CREATE on the source's database.",
    ),
    "source.owner-membership": Kind(
        "blocking",
        "Tables can be published, and applied changes written, by members of their owner only.",
    ),
    "source.table-owner": Kind(
        "blocking",
        "A table belongs to a superuser, and only superusers can publish it.",
    ),
    "source.schema-usage": Kind("blocking", "A schema that holds tables may not be entered."),
    "source.fence": Kind(
        "blocking",
        "At the cutover nobody else may connect to the database any more; our login lacks a "
        "right that this needs.",
    ),
    "source.way-back": Kind(
        "blocking",
        "The way back after the cutover is a subscription on the source, and our login may make "
        "none.",
    ),
    "source.logged-passwords": Kind(
        "warning",
        "The server logs statements, our login may not keep its own out of the log, and the "
        "way back's has a password in it.",
    ),
    "source.select-table": Kind("blocking", "A table may not be read."),
    "source.select-sequence": Kind("blocking", "A sequence may not be read."),
    "source.prepared-transaction": Kind(
        "blocking",
        "A slot waits for every prepared transaction that is open.",
    ),
    "source.long-transaction": Kind(
        "warning",
        "A slot waits for every transaction that is open when it is made.",
    ),
    "source.slot-wal-limited": Kind(
        "warning",
        "`max_slot_wal_keep_size` may drop WAL that the copy still needs.",
    ),
    "source.slot-wal-unlimited": Kind(
        "warning",
        "Our slot holds back WAL without limit while the target is slow or down.",
    ),
    "source.wal-sender-timeout": Kind(
        "warning",
        "A short `wal_sender_timeout` ends replication when the target is busy; without one, a dead"
        " connection keeps the slot from the next.",
    ),
    "source.decoding-memory": Kind(
        "note",
        "Large transactions spill to disk above `logical_decoding_work_mem`.",
    ),
    "source.leftover": Kind(
        "warning",
        "Slots or publications named naru_… exist, from another migration or an earlier one.",
    ),
    "source.inactive-slot": Kind(
        "warning",
        "A slot of somebody else holds back WAL, and nobody reads it.",
    ),
    "source.publication": Kind("note", "Publications do not come across."),
    "source.subscription": Kind(
        "warning",
        "The source is itself a subscriber; subscriptions do not come across.",
    ),
    "source.locks": Kind(
        "warning",
        "pg_dump locks every table at once; the lock table may be too small.",
    ),
    "source.passwords": Kind(
        "warning",
        "pg_authid may not be read, so roles that log in, and are made on the target, need new "
        "passwords.",
    ),
    "source.superuser-clients": Kind(
        "warning",
        "Applications log in as superusers, whom the fence at the cutover cannot keep out "
        "before they are ended.",
    ),
    "source.collation-version": Kind(
        "warning",
        "The system's collation has changed since the source's indexes were built.",
    ),
    "target.version": Kind("blocking", "The target is older than the source."),
    "target.untested": Kind("warning", "Moves between two such versions are not tested."),
    "target.programs": Kind(
        "blocking",
        "No pg_dump that is new enough for the source is installed here.",
    ),
    "target.recovery": Kind("blocking", "The target is a standby."),
    "target.same-server": Kind("blocking", "Source and target are the same server."),
    "target.not-empty": Kind("blocking", "The target database holds objects already."),
    "target.begun": Kind(
        "blocking",
        "A migration or a restore has begun in the target database. The same command goes on "
        "with it, where it was begun; nothing else may.",
    ),
    "target.create-database": Kind(
        "blocking",
        "The target database does not exist, and we may not make it.",
    ),
    "target.database": Kind(
        "note",
        "The target database does not exist; it is made as the source's was.",
    ),
    "target.encoding": Kind("blocking", "The encodings differ."),
    "target.collation": Kind("warning", "The databases sort differently."),
    "target.collation-missing": Kind(
        "blocking",
        "A collation that columns use does not exist on the target.",
    ),
    "target.workers": Kind(
        "blocking", "Too few workers or slots are set for a subscription, for each database."
    ),
    "target.receiver-timeout": Kind(
        "warning",
        "Without `wal_receiver_timeout` a silent connection is never given up.",
    ),
    "target.wal-level": Kind("blocking", "The way back needs `wal_level = logical` on the target."),
    "target.slots": Kind(
        "blocking",
        "The way back needs a free slot and WAL sender on the target, for each database.",
    ),
    "target.reach": Kind("blocking", "The target's server cannot log in at the source's address."),
    "target.reach-untried": Kind(
        "warning",
        "Whether the target's server can log in at the source can only be tried in a database "
        "where our login may make objects, and there is none yet.",
    ),
    "target.replication-privilege": Kind(
        "blocking",
        "The way back needs a slot on the target, and our login has not the attribute REPLICATION.",
    ),
    "target.create-privilege": Kind("blocking", "Our login may make nothing in the database."),
    "target.fence": Kind(
        "blocking",
        "At a rollback nobody else may connect to the database any more; our login lacks a "
        "right that this needs.",
    ),
    "target.owner-membership": Kind(
        "blocking",
        "Objects are handed to their owners, and our login is no member of one.",
    ),
    "target.membership": Kind(
        "warning",
        "A role belongs to another on the source, and our login may not grant that on the target.",
    ),
    "target.reserved-owner": Kind(
        "blocking",
        "Roles named `naru_…` do not come across, and one owns something in the database or has "
        "rights on it.",
    ),
    "target.reserved-role": Kind(
        "warning",
        "Roles named `naru_…` do not come across, and one may log in to the database, or gives "
        "rights to one that may.",
    ),
    "target.superuser-owner": Kind(
        "warning",
        "What a superuser owns on the source belongs to our login on the target; comparisons "
        "tell it as a difference.",
    ),
    "target.superuser-object": Kind("blocking", "Only superusers can make such an object."),
    "target.forced-row-security": Kind(
        "blocking",
        "Changes are written in the role of a table's owner, and FORCE ROW LEVEL SECURITY "
        "refuses them.",
    ),
    "target.default-privileges": Kind(
        "warning",
        "Default privileges of a superuser do not come across.",
    ),
    "target.foreign-wrapper": Kind(
        "blocking",
        "Foreign servers need USAGE on their wrapper, which our login has not.",
    ),
    "target.extension-refused": Kind("blocking", "Our login may not make an extension."),
    "target.logged-passwords": Kind(
        "warning",
        "The server logs statements, our login may not keep its own out of the log, and some "
        "have passwords in them.",
    ),
    "target.subscription-privilege": Kind("blocking", "Our login may not make subscriptions."),
    "target.role-privilege": Kind("blocking", "Roles must be made, and our login may not."),
    "target.event-trigger": Kind(
        "warning",
        "Only superusers can make event triggers, so this one is left out.",
    ),
    "target.extension-missing": Kind("blocking", "An extension is not available on the target."),
    "target.extension-version": Kind("warning", "An extension comes in another version."),
    "schema.no-replica-identity": Kind(
        "warning",
        "UPDATE and DELETE on such a table fail once it is published, so it gets a replica "
        "identity for the migration.",
    ),
    "schema.replica-identity-full": Kind(
        "warning",
        "The whole row identifies it, so each change searches the target's table.",
    ),
    "schema.unlogged": Kind(
        "warning",
        "Changes of unlogged tables cannot be followed; they are copied once more while clients "
        "wait.",
    ),
    "schema.unlogged-large": Kind(
        "blocking",
        "Unlogged tables together hold more than can be copied again while clients wait (16 MB).",
    ),
    "schema.enum-hash": Kind(
        "blocking",
        "Partitions by hash of an enum: its hash is another on every server, so that rows belong "
        "to other partitions there.",
    ),
    "schema.exclusion-of-partitions": Kind(
        "blocking",
        "PostgreSQL cannot restore its own dump of an exclusion constraint, or of a key without "
        "overlaps, that a partitioned table hands down to its partitions.",
    ),
    "schema.large-objects": Kind(
        "warning",
        "Changes of large objects cannot be followed; they are compared again at the cutover.",
    ),
    "schema.row-security": Kind("blocking", "Row security would hide rows from our login."),
    "schema.trigger-always": Kind(
        "warning",
        "A trigger fires when changes are applied as well, and so twice.",
    ),
    "schema.event-trigger": Kind("warning", "Event triggers fire at statements of ours as well."),
    "schema.invalid-index": Kind("warning", "An invalid index does not come across."),
    "schema.not-valid": Kind("note", "A constraint is NOT VALID, and stays so."),
    "schema.deferrable-key": Kind("note", "A deferrable key cannot identify rows."),
    "schema.generated": Kind("note", "Generated columns are computed on the target."),
    "schema.identity": Kind(
        "note",
        "Identity columns keep their values; their sequences are set at the cutover.",
    ),
    "schema.partitioned": Kind(
        "note",
        "Partitioned tables are copied and followed partition by partition.",
    ),
    "schema.materialized-view": Kind(
        "note",
        "Materialized views are refreshed once, after the copy.",
    ),
    "schema.foreign-table": Kind(
        "warning",
        "Foreign tables come without rows; the target must reach their servers.",
    ),
    "schema.base-type": Kind("warning", "A type or function in C needs its library on the target."),
    "schema.extension-rows": Kind(
        "warning",
        "Rows that users put into an extension's own tables do not come across.",
    ),
    "schema.tablespace": Kind(
        "note",
        "Everything goes to the target database's default tablespace.",
    ),
    "schema.scheduled-jobs": Kind(
        "warning",
        "Jobs on the source may run DDL, which is not followed.",
    ),
}


def reference_page(made: str) -> str:
    """docs/reference/findings.md, with `made` as the line that says where it comes from."""
    return "\n".join(["# Findings", made, _PREFACE, *_tables()])


_PREFACE = """\
What `naru migrate assess` can report. Blocking findings make it end with exit code 1, and
nothing should be started before they are gone. Each finding names its object and, where
there is one, the statement or setting that helps.
"""

_PLACES = {
    "source": "The source server",
    "target": "The target server",
    "schema": "What the source's database holds",
}


def _tables() -> Iterator[str]:
    for place, title in _PLACES.items():
        yield f"## {title}\n\n| code | severity | meaning |\n|-|-|-|"
        for code, kind in KINDS.items():
            if code.startswith(f"{place}."):
                yield f"| `{code}` | {kind.severity} | {kind.meaning} |"
        yield ""
