"""Each finding is reported for the facts that call for it, and for no others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from naru.migrate.admittance import Lack
from naru.migrate.assess import Assessment
from naru.migrate.decide import decide, identity_plan
from naru.migrate.facts import (
    Extension,
    Facts,
    Login,
    Names,
    Server,
    Size,
    SourceActivity,
    TargetState,
)
from naru.migrate.findings import KINDS, reference_page
from naru.migrate.identity import TableIdentity
from naru.migrate.names import Relation
from naru.migrate.ownership import Owner, Standing
from naru.migrate.reserved import ReservedRole
from naru.migrate.rights import Rights

SETTINGS = {
    "wal_level": "logical", "max_replication_slots": "10", "max_wal_senders": "10",
    "max_connections": "100", "superuser_reserved_connections": "3",
    "max_slot_wal_keep_size": "100000", "wal_sender_timeout": "60000",
    "logical_decoding_work_mem": "65536", "max_locks_per_transaction": "64",
    "max_prepared_transactions": "0", "max_logical_replication_workers": "4",
    "max_worker_processes": "8", "max_active_replication_origins": "10",
}  # fmt: skip

SOURCE = Server(
    150018, 1, "shop", False, "UTF8", "C", "C", "c", None, Login("mover"), SETTINGS
)  # fmt: skip
TARGET = replace(SOURCE, version=170010, identifier=2)
SIZE = Size(10**9, 8 * 10**8, 100, 10**6, (("public.t", 10**8),), 1000.0, 10**8)
QUIET = Facts(
    source=SOURCE, target=TARGET, size=SIZE, activity=SourceActivity(), state=TargetState(),
    programs=(15, 17), jobs=2, identities=(), extensions=(), objects={},
)  # fmt: skip


def source(**changes: object) -> Facts:
    return replace(QUIET, source=replace(SOURCE, **changes))  # type: ignore[arg-type]


def target(**changes: object) -> Facts:
    return replace(QUIET, target=replace(TARGET, **changes))  # type: ignore[arg-type]


def setting(name: str, value: str, *, of: Server = SOURCE) -> Facts:
    server = replace(of, settings={**SETTINGS, name: value})
    return replace(QUIET, source=server) if of is SOURCE else replace(QUIET, target=server)


def activity(**changes: object) -> Facts:
    return replace(QUIET, activity=SourceActivity(**changes))  # type: ignore[arg-type]


def state(**changes: object) -> Facts:
    return replace(QUIET, state=TargetState(**changes))  # type: ignore[arg-type]


def without(right: str, facts: Facts = QUIET, *, side: str = "source") -> Facts:
    server = getattr(facts, side)
    login = replace(server.login, **{"superuser": False, right: False})
    return replace(facts, **{side: replace(server, login=login)})


def table(**changes: object) -> TableIdentity:
    base = TableIdentity(Relation("app", "t"), "d", None, False, None)
    return replace(base, **changes)  # type: ignore[arg-type]


def rights(**changes: object) -> Facts:
    return replace(QUIET, rights=Rights(**changes))  # type: ignore[arg-type]


def ordinary(**changes: object) -> Facts:
    """At the target our login is no superuser."""
    return without("superuser", rights(**changes), side="target")


OWNER = Owner("app", False, 3, "app.t", 2, True)
ONE = Names(1, ("app.t",))
CASES: dict[str, Facts] = {
    "source.version": source(version=90600),
    "source.recovery": source(in_recovery=True),
    "source.wal-level": setting("wal_level", "replica"),
    "source.slots": source(slots_used=10),
    "source.walsenders": source(walsenders_used=10),
    "source.connections": source(connections_used=95),
    "source.workers": setting("max_logical_replication_workers", "0"),
    "source.replication-privilege": without("replication"),
    "source.replication-connection": activity(replication_refused="no pg_hba.conf entry"),
    "source.slot-refused": activity(slot_refused="timeout"),
    "source.balanced": activity(balanced=True),
    "source.create-privilege": without("create_on_database"),
    "source.prepared-transaction": activity(prepared=("x",)),
    "source.long-transaction": activity(long_transactions=((7, "app", 300.0),)),
    "source.slot-wal-limited": setting("max_slot_wal_keep_size", "0"),
    "source.slot-wal-unlimited": setting("max_slot_wal_keep_size", "-1"),
    "source.wal-sender-timeout": setting("wal_sender_timeout", "5000"),
    "source.decoding-memory": setting("logical_decoding_work_mem", "1024"),
    "source.leftover": activity(own_slots=("naru_x",), own_publications=("naru_x",)),
    "source.inactive-slot": activity(inactive_slots=(("old", 5 * 1024**3),)),
    "source.publication": activity(publications=("feed",)),
    "source.subscription": activity(subscriptions=("feed",)),
    "source.locks": replace(QUIET, size=replace(SIZE, tables=10_000)),
    "source.passwords": without("read_secrets", rights(need_password=("app",))),
    "source.owner-membership": rights(owners=(Owner("app", False, 3, "app.t", 2, False),)),
    "source.fence": rights(source_fence=(Lack("sight", "sees nothing", "GRANT x TO y"),)),
    "source.way-back": rights(way_back_refused="must be superuser"),
    "source.logged-passwords": rights(logged=("source",)),
    "source.superuser-clients": activity(superuser_clients=("postgres (web)",)),
    "source.collation-version": activity(collation_changed=True),
    "target.version": target(version=140000),
    "target.untested": target(version=190000),
    "target.programs": replace(QUIET, programs=(13, 14)),
    "target.recovery": target(in_recovery=True),
    "target.same-server": target(identifier=1),
    "target.not-empty": state(content=ONE),
    "target.begun": state(begun=True),
    "target.create-database": without("create_db", state(exists=False), side="target"),
    "target.database": state(exists=False),
    "target.encoding": target(encoding="EUC_KR"),
    "target.collation": target(collate="ko_KR.utf8"),
    "target.collation-missing": state(missing_collations=("ko_KR.utf8",)),
    "target.workers": setting("max_logical_replication_workers", "0", of=TARGET),
    "target.receiver-timeout": setting("wal_receiver_timeout", "0", of=TARGET),
    "target.wal-level": setting("wal_level", "replica", of=TARGET),
    "target.slots": target(slots_used=10),
    "target.reach": state(reach_refused="could not connect"),
    "target.subscription-privilege": without("create_subscription", side="target"),
    "target.role-privilege": without("create_role", state(missing_roles=3), side="target"),
    "target.replication-privilege": without("replication", side="target"),
    "target.create-privilege": without("create_on_database", side="target"),
    "target.fence": rights(target_fence=(Lack("signal", "ends nothing", "GRANT x TO y"),)),
    "target.reach-untried": state(exists=False, reach_untried=True),
    "target.owner-membership": ordinary(
        owners=(OWNER,), standing={"app": Standing(superuser=False, acts=False, may_join=False)}
    ),
    "target.reserved-owner": rights(left_out=(ReservedRole("naru_app", named=True),)),
    "target.reserved-role": rights(left_out=(ReservedRole("naru_app", named=False),)),
    "target.superuser-owner": ordinary(owners=(replace(OWNER, superuser=True),)),
    "target.membership": ordinary(memberships=(("pg_monitor", "app"),)),
    "target.foreign-wrapper": ordinary(wrappers=("postgres_fdw",)),
    "target.logged-passwords": ordinary(logged=("target",)),
    "target.extension-refused": without(
        "superuser",
        replace(QUIET, extensions=(Extension("pageinspect", "1", "1", True, "refused"),)),
        side="target",
    ),
    "target.superuser-object": without(
        "superuser", replace(QUIET, objects={"target.superuser-object": ONE}), side="target"
    ),
    "target.forced-row-security": without(
        "superuser", replace(QUIET, objects={"target.forced-row-security": ONE}), side="target"
    ),
    "target.default-privileges": without(
        "superuser", replace(QUIET, objects={"target.default-privileges": ONE}), side="target"
    ),
    "target.event-trigger": without(
        "superuser", replace(QUIET, objects={"schema.event-trigger": ONE}), side="target"
    ),
    "target.extension-missing": replace(
        QUIET, extensions=(Extension("postgis", "3.3", None, False),)
    ),
    "target.extension-version": replace(
        QUIET, extensions=(Extension("citext", "1.6", "1.7", True),)
    ),
    "schema.no-replica-identity": replace(QUIET, identities=(table(),)),
    **{
        code: replace(QUIET, objects={code: ONE})
        for code in (
            "source.table-owner", "source.schema-usage", "source.select-table",
            "source.select-sequence",
            "schema.replica-identity-full", "schema.unlogged", "schema.unlogged-large",
            "schema.enum-hash", "schema.exclusion-of-partitions", "schema.large-objects",
            "schema.row-security", "schema.trigger-always", "schema.event-trigger",
            "schema.invalid-index", "schema.not-valid", "schema.deferrable-key",
            "schema.generated", "schema.identity", "schema.partitioned",
            "schema.materialized-view", "schema.foreign-table", "schema.base-type",
            "schema.extension-rows", "schema.tablespace", "schema.scheduled-jobs",
        )
    },
}  # fmt: skip

ALSO = {
    "target.event-trigger": {"schema.event-trigger"},
    "target.reach-untried": {"target.database"},
}
"""Findings that the facts of a case bring along."""


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    assert decide(QUIET) == ()


def test_a_walsender_without_an_end_to_its_patience_is_found_too() -> None:
    (one,) = decide(setting("wal_sender_timeout", "0"))
    assert (one.code, "is off" in one.text) == ("source.wal-sender-timeout", True)


def test_every_code_has_a_case() -> None:
    assert set(CASES) == set(KINDS)


@pytest.mark.parametrize("code", sorted(KINDS))
def test_a_finding_is_reported_alone_with_its_severity(code: str) -> None:
    findings = decide(CASES[code])
    assert {one.code for one in findings} - ALSO.get(code, set()) == {code}
    for one in findings:
        assert one.severity == KINDS[one.code].severity
        assert one.object and one.text


@pytest.mark.parametrize("code", sorted(c for c, k in KINDS.items() if k.severity == "blocking"))
def test_what_is_blocking_says_what_to_do(code: str) -> None:
    assert all(one.remedy for one in decide(CASES[code]) if one.severity == "blocking")


def test_blocking_findings_come_first_and_block() -> None:
    facts = replace(CASES["source.wal-level"], identities=(table(),), objects={"x": ONE})
    findings = decide(facts)
    assert [one.severity for one in findings] == ["blocking", "warning"]
    assert Assessment(facts, findings).blocked
    assert not Assessment(QUIET, decide(QUIET)).blocked


def test_a_superuser_may_use_the_reserved_connections() -> None:
    busy = source(connections_used=91)
    assert decide(busy) == ()
    assert "source.connections" in {one.code for one in decide(without("bypass_rls", busy))}


def test_each_of_several_databases_needs_a_slot_and_a_worker_both_ways() -> None:
    assert decide(replace(QUIET, databases=4)) == ()
    found = decide(replace(QUIET, databases=5))
    assert {(one.code, one.object) for one in found} == {
        ("source.workers", "max_logical_replication_workers"),
        ("target.workers", "max_logical_replication_workers"),
    }
    used = replace(SOURCE, slots_used=7)
    (one,) = decide(replace(QUIET, source=used, databases=4))
    assert (one.code, one.text) == ("source.slots", "3 of 10 are free, 4 are needed")


def test_subscriptions_that_are_there_have_their_workers() -> None:
    (one,) = decide(target(subscriptions_used=4))
    assert (one.code, one.text) == ("target.workers", "is 4, at least 5 are needed")


def test_a_target_where_a_migration_has_begun_is_told_as_that() -> None:
    (one,) = decide(state(content=ONE, begun=True))
    assert one.code == "target.begun"


def test_a_target_that_holds_large_objects_alone_is_not_empty() -> None:
    (one,) = decide(state(large_objects=3))
    assert (one.code, one.text) == ("target.not-empty", "holds 3 large objects")


def test_what_is_said_of_a_missing_database_is_not_compared() -> None:
    facts = replace(state(exists=False), target=replace(TARGET, encoding="LATIN1", collate="x"))
    assert [one.code for one in decide(facts)] == ["target.database"]


def test_the_identity_plan_prefers_an_index_and_knows_what_was_there() -> None:
    usable = table(kind="i", index="t_key")
    facts = replace(
        QUIET, identities=(table(candidate="t_key"), table(kind="n"), usable)
    )  # fmt: skip
    by_index, full = identity_plan(facts)
    assert (by_index.kind, by_index.index, by_index.before) == ("i", "t_key", "d")
    assert (full.kind, full.index, full.before) == ("f", None, "n")
    remedies = [one.remedy or "" for one in decide(facts)]
    assert 'REPLICA IDENTITY USING INDEX "t_key"' in remedies[0]
    assert "REPLICA IDENTITY FULL" in remedies[1]


def test_many_objects_are_counted_and_few_are_named() -> None:
    many = tuple(table(relation=Relation("app", f"t{n}")) for n in range(10_000))
    names = Names(300, tuple(f"app.u{n}" for n in range(20)))
    findings = decide(replace(QUIET, identities=many, objects={"schema.unlogged": names}))
    assert len(findings) == 42
    assert "9980 more tables" in {one.object for one in findings}
    assert "280 more" in {one.object for one in findings}


def test_names_are_quoted_in_remedies() -> None:
    odd = table(relation=Relation("Odd", 'a "b"'))
    (finding,) = decide(replace(QUIET, identities=(odd,)))
    assert 'ALTER TABLE "Odd"."a ""b""" REPLICA' in (finding.remedy or "")


def test_the_reference_names_every_code() -> None:
    page = reference_page("made")
    assert all(f"| `{code}` | {kind.severity} |" in page for code, kind in KINDS.items())


def test_missing_rights_are_printed_as_statements_once_for_each_side() -> None:
    lack = Lack("owner", "is no member of app", 'GRANT "app" TO "mover"')
    owner = replace(OWNER, ours=False)
    facts = rights(source_fence=(lack,), owners=(owner,), target_fence=(lack,))
    assessment = Assessment(facts, decide(facts))
    assert assessment.grants("source") == ('GRANT "app" TO "mover";',)
    assert assessment.grants("target") == ('GRANT "app" TO "mover";',)
    assert Assessment(QUIET, decide(QUIET)).grants("source") == ()


def test_below_16_the_way_back_needs_a_function_that_only_our_login_may_call() -> None:
    facts = rights(way_back_refused="must be superuser")
    (script,) = Assessment(facts, decide(facts)).grants("source")
    assert script.endswith('(text, text, boolean) TO "mover";')
    assert "naru_mover" not in script
    newer = replace(facts, source=replace(SOURCE, version=160004))
    (grant,) = Assessment(newer, decide(newer)).grants("source")
    assert grant == 'GRANT pg_create_subscription TO "mover";'
