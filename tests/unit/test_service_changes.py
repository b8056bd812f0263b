"""What a changed naru.toml means, decided from facts: key by key, setting by setting."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from naru.errors import RefusedError, SpecError
from naru.service import ChangePlan, Observed, PlannedChange, Wanted, flatten, plan_changes
from naru.service.parameters import GUARDED, Assigned, assigned
from naru.spec import Spec
from naru.spec.changing import CHANGES, change_of

GIB = 2**30
CONTEXTS = {
    "max_connections": "postmaster", "shared_buffers": "postmaster", "work_mem": "user",
    "log_statement": "superuser", "timezone": "user", "block_size": "internal",
    "log_connections": "superuser-backend",
}  # fmt: skip


def spec_of(**tables: Any) -> Spec:
    return Spec.model_validate(tables)


def wanted_of(spec: Spec, **more: Any) -> Wanted:
    service = spec.service
    base = Wanted(
        values=flatten(spec),
        parameters=assigned(spec, 17),
        members=frozenset(f"cedbserver{n + 1}" for n in range(service.member_count)),
        etcd=frozenset({"etcd1"}),
        majors={"source": 15, "service": 17},
        cache_bytes=256 * 2**20 * service.member_count,
        data_bytes=int(service.data_gb * GIB),
    )
    return replace(base, **more)


def observed_of(spec: Spec, **more: Any) -> Observed:
    wanted = wanted_of(spec)
    base = Observed(
        made=True,
        running=True,
        applied=flatten(spec),
        parameters={name: one.value for name, one in wanted.parameters.items()},
        contexts=CONTEXTS,
        members=wanted.members,
        etcd=wanted.etcd,
        majors=wanted.majors,
        used_bytes=GIB,
        machine_bytes=16 * GIB,
    )
    return replace(base, **more)


LAB = Spec()


def plan(after: Spec, before: Spec = LAB, **observed: Any) -> ChangePlan:
    return plan_changes(observed_of(before, **observed), wanted_of(after))


def only(found: ChangePlan) -> PlannedChange:
    assert len(found.changes) == 1, found.changes
    return found.changes[0]


def test_a_spec_that_did_not_change_gives_an_empty_plan() -> None:
    assert plan(LAB) == ChangePlan()


@pytest.mark.parametrize(
    ("settings", "effect"),
    [
        ({"work_mem": "8MB"}, "reload"),
        ({"log_statement": "ddl"}, "reload"),
        ({"log_connections": "on"}, "reload"),
        ({"max_connections": "400"}, "restart"),
        ({"shared_buffers": "300MB"}, "restart"),
        ({"nobody.knows": "1"}, "reload"),
    ],
)
def test_a_setting_takes_effect_as_postgresql_says(settings: dict[str, str], effect: str) -> None:
    change = only(plan(spec_of(service={"settings": settings})))
    ((name, value),) = settings.items()
    assert (change.key, change.new, change.effect) == (name, value, effect)
    assert change.source == "service.settings"


def test_a_setting_that_is_taken_away_goes_back_to_what_is_below_it() -> None:
    before = spec_of(service={"settings": {"max_connections": "400", "log_statement": "ddl"}})
    found = {one.key: one for one in plan(LAB, before).changes}
    assert (found["max_connections"].old, found["max_connections"].new) == ("400", "300")
    assert found["max_connections"].source == "server_type db1v2m4"
    assert (found["log_statement"].old, found["log_statement"].new) == ("ddl", "default")


def test_only_what_needs_a_restart_restarts() -> None:
    after = spec_of(service={"settings": {"max_connections": "400", "work_mem": "9MB"}})
    assert plan(after).restarts == ("max_connections",)


def test_another_parameter_group_is_told_by_its_settings() -> None:
    groups = {"reports": {"work_mem": "64MB"}, "idle": {"work_mem": "1MB"}}
    after = spec_of(service={"parameter_group": "reports"}, parameter_group=groups)
    found = {one.key: one for one in plan(after).changes}
    assert set(found) == {"service.parameter_group", "work_mem"}
    assert found["work_mem"].source == "parameter_group reports"


def test_a_group_that_does_not_hold_changes_nothing() -> None:
    assert plan(spec_of(parameter_group={"idle": {"work_mem": "1MB"}})) == ChangePlan()


def test_a_larger_server_type_restarts_for_memory_and_connections() -> None:
    found = plan(spec_of(service={"server_type": "db1v4m8"}))
    assert {"max_connections", "shared_buffers"} <= set(found.restarts)
    assert found.changes[0].key == "service.server_type"


def test_caches_that_this_machine_cannot_hold_are_refused() -> None:
    spec = spec_of(service={"server_type": "db1v8m64"})
    found = plan_changes(observed_of(LAB), wanted_of(spec, cache_bytes=12 * GIB))
    (refused,) = found.refused
    assert refused.refused is not None
    assert "12.00 GB, more than 70% of this machine's 16.00 GB" in refused.refused


@pytest.mark.parametrize(
    ("tables", "key", "words"),
    [
        ({"service": {"cluster_name": "other"}}, "service.cluster_name", "migrate into it"),
        ({"service": {"encoding": "EUC_KR"}}, "service.encoding", "CREATE DATABASE"),
        ({"service": {"locale": "ko_KR.UTF-8"}}, "service.locale", "CREATE DATABASE"),
        ({"service": {"database": "other"}}, "service.database", "CREATE DATABASE"),
        ({"service": {"first_member": "10.1.3.61"}}, "service.first_member", "--purge"),
        ({"source": {"superuser": "root"}}, "source.superuser", "--purge"),
        ({"service": {"port": 5432}}, "service.port", "not while it runs; `naru down`"),
        ({"traffic": {"port": 7432}}, "traffic.port", "not while it runs"),
    ],
)
def test_what_is_fixed_names_the_way(tables: dict[str, Any], key: str, words: str) -> None:
    change = only(plan(spec_of(**tables)))
    assert change.key == key
    assert change.refused is not None
    assert words in change.refused
    with pytest.raises(RefusedError, match=key):
        plan(spec_of(**tables)).must_be_possible()


def test_an_address_may_change_while_all_is_down_but_not_the_name_of_the_cluster() -> None:
    assert plan(spec_of(service={"port": 5432}), running=False).refused == ()
    assert plan(spec_of(service={"cluster_name": "other"}), running=False).refused != ()


def test_members_are_compared_with_those_that_there_are() -> None:
    change = only(plan(spec_of(service={"members": 2})))
    assert (change.key, change.effect) == ("service.members", "members")
    assert change.refused is not None
    assert "naru service scale" in change.refused
    two = frozenset({"cedbserver1", "cedbserver2"})
    assert plan(spec_of(service={"members": 2}), members=two) == ChangePlan()


def test_members_that_are_kept_apart_from_naru_toml_do_not_stop_an_up() -> None:
    """So that a power cut after a `scale` is no trouble where naru.toml was not changed."""
    found = plan(spec_of(service={"members": 2}), scaled_by_itself=True)
    assert only(found).effect == "members"
    found.must_be_possible()


def test_ha_off_is_a_change_of_members() -> None:
    change = only(plan(spec_of(service={"ha": False})))
    assert (change.old, change.new) == ("cedbserver1, cedbserver2, cedbserver3", "cedbserver1")


def test_data_of_another_version_are_never_run_by_the_newest_that_appeared() -> None:
    newer = wanted_of(LAB, majors={"source": 15, "service": 18})
    (change,) = plan_changes(observed_of(LAB), newer).refused
    assert change.refused is not None
    assert 'write service.version = "17"' in change.refused


def test_a_name_for_the_same_version_changes_nothing() -> None:
    assert plan(spec_of(service={"version": "17"})) == ChangePlan()


def test_the_datas_size_may_grow_but_not_below_what_is_held() -> None:
    assert plan(spec_of(service={"data_gb": 32.0})).refused == ()
    (change,) = plan(spec_of(service={"data_gb": 1.0}), used_bytes=2 * GIB).refused
    assert change.refused is not None
    assert "a member holds 2.00 GB" in change.refused
    assert plan(spec_of(service={"data_gb": 4.0}), used_bytes=2 * GIB).refused == ()


def test_a_full_service_may_be_given_more_even_if_that_is_not_enough() -> None:
    before = spec_of(service={"data_gb": 2.0})
    assert plan(spec_of(service={"data_gb": 2.1}), before, used_bytes=2 * GIB).refused == ()


def test_what_postgresql_does_not_take_is_refused_in_its_words() -> None:
    spec = spec_of(service={"settings": {"work_mem": "lots"}})
    wrong = {"work_mem": 'invalid value for parameter "work_mem": "lots"'}
    found = plan(spec, wrong=wrong)
    change = only(found)
    assert change.refused == f"PostgreSQL says: {wrong['work_mem']}"
    with pytest.raises(SpecError, match="invalid value"):
        found.must_be_possible()


def test_a_cluster_that_is_not_made_yet_is_checked_too() -> None:
    spec = spec_of(service={"settings": {"work_mem": "lots"}, "cluster_name": "other"})
    found = plan_changes(Observed(wrong={"work_mem": "no"}), wanted_of(spec))
    assert [one.key for one in found.refused] == ["work_mem"]
    assert plan_changes(Observed(), wanted_of(LAB)) == ChangePlan()


def test_the_guards_own_setting_is_nobody_elses_business() -> None:
    wanted = wanted_of(LAB)
    there = {name: one.value for name, one in wanted.parameters.items()} | {GUARDED: "on"}
    assert plan(LAB, parameters=there) == ChangePlan()


def test_a_setting_changed_by_hand_shows_as_a_change_back() -> None:
    wanted = wanted_of(LAB)
    there = {name: one.value for name, one in wanted.parameters.items()} | {"work_mem": "1MB"}
    change = only(plan(LAB, parameters=there))
    assert (change.old, change.new, change.effect) == ("1MB", "4MB", "reload")


def test_a_setting_that_is_fixed_in_the_server_is_refused() -> None:
    assigned_by = {**wanted_of(LAB).parameters, "block_size": Assigned("4096", "service.settings")}
    found = plan_changes(observed_of(LAB), wanted_of(LAB, parameters=assigned_by))
    assert only(found).refused is not None


def test_addresses_change_while_it_is_down_and_no_migration_has_noted_them() -> None:
    moved = spec_of(service={"port": 5432}, traffic={"port": 6543})
    down = plan(moved, running=False)
    assert [(one.key, one.refused) for one in down.changes] == [
        ("service.port", None), ("traffic.port", None),
    ]  # fmt: skip
    for one in plan(moved).refused:
        assert "`naru down`, then `naru up`" in str(one.refused)
    crossing = plan(moved, running=False, migrations=("creativity",))
    assert len(crossing.refused) == 2
    assert "(creativity); finish or abort it first" in str(crossing.refused[0].refused)


def test_passing_to_tls_is_told_before_it_is_done() -> None:
    change = only(plan(LAB, plain=True))
    assert (change.key, change.old, change.effect, change.refused) == ("TLS", "none", "anew", None)


def test_members_that_load_what_is_not_installed_any_more_are_not_started() -> None:
    """They would end at once, and only a running primary can be told to do without."""
    there = {name: one.value for name, one in wanted_of(LAB).parameters.items()}
    loaded = {**there, "shared_preload_libraries": "pgaudit"}
    found = plan(LAB, parameters=loaded, running=False, gone_libraries=("pgaudit",))
    change = only(found)
    assert change.refused is not None
    assert "pgaudit" in change.refused
    assert "install it again" in change.refused
    running = only(plan(LAB, parameters=loaded))
    assert (running.old, running.new, running.refused) == ("pgaudit", "default", None)


def test_a_new_password_is_told_without_showing_it() -> None:
    change = only(plan(LAB, password_differs=True))
    assert (change.key, change.old, change.new) == ("service.password", "***", "***")
    assert change.effect == "reload"


def test_what_waits_for_a_restart_is_remembered() -> None:
    found = plan(LAB, waiting=("max_connections",))
    assert found.changes == ()
    assert found.restarts == ("max_connections",)


def test_an_environment_of_before_is_taken_as_it_is() -> None:
    found = plan(LAB, applied={"service.cluster_name": "cedbcluster"}, parameters=None)
    assert found == ChangePlan()


def test_several_refusals_are_told_at_once() -> None:
    spec = spec_of(service={"encoding": "EUC_KR", "port": 5432})
    with pytest.raises(RefusedError) as refused:
        plan(spec).must_be_possible()
    assert refused.value.message.count("\n") == 1


def test_the_flat_spec_holds_no_password_and_every_setting() -> None:
    spec = spec_of(
        service={"password": "ceadmin123!", "settings": {"a.b": "1"}},
        parameter_group={"reports": {"work_mem": "1MB"}},
    )
    flat = flatten(spec)
    assert "ceadmin123!" not in str(flat)
    assert flat["service.settings.a.b"] == "1"
    assert flat["parameter_group.reports.work_mem"] == "1MB"


def test_every_key_says_what_changing_it_does() -> None:
    known = {".".join(key.split(".")[:2]) for key in flatten(LAB)} | {"service.password"}
    missing = sorted(known - set(CHANGES))
    assert missing == [], "add them to naru.spec.changing"
    assert sorted(set(CHANGES) - known - {"parameter_group", "service.settings"}) == []
    for key in known:
        if change_of(key).effect in {"fixed", "members"}:
            assert change_of(key).way, key
