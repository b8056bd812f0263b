"""Which upgrades may begin, where the second cluster goes, and what may be done next."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from naru.errors import RefusedError, UsageError
from naru.ground import member_hosts
from naru.service import (
    Clusters,
    Endpoint,
    EtcdStatus,
    MemberStatus,
    Place,
    Protection,
    ServiceStatus,
    beside_spec,
    live_spec,
    next_place,
    read_clusters,
    write_clusters,
)
from naru.spec import Spec
from naru.system import server_account
from naru.upgrade import UpgradeFacts, plan_minor, plan_upgrade
from naru.upgrade.status import what_next

OLD = Place("cedbcluster", "17")
FACTS = UpgradeFacts(
    live=OLD, base="cedbcluster", wanted=18, members=3, protection="full", sentence="All is well.",
    databases=(("cedb", 1_000_000), ("other", 500_000)), in_maintenance=(), tablespaces=(),
    migrations=(), pooled=("cedb",), taken=(), free_bytes=10_000_000_000,
)  # fmt: skip


def test_the_plan_names_both_clusters_and_everything_that_crosses() -> None:
    plan = plan_upgrade(FACTS)
    assert (plan.old, plan.new) == (OLD, Place("cedbcluster-18", "18", 6))
    assert plan.databases == ("cedb", "other")
    assert plan.bytes == 1_500_000
    assert any("the pool does not serve other" in one for one in plan.warnings)
    assert not any("does not serve cedb" in one for one in plan.warnings)


@pytest.mark.parametrize(("wanted", "said"), [(17, "already"), (16, "no way down")])
def test_only_a_newer_version_can_be_had(wanted: int, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        plan_upgrade(replace(FACTS, wanted=wanted))


def test_everything_in_the_way_is_told_at_once_with_its_remedy() -> None:
    facts = replace(
        FACTS, protection="none", sentence="Writes wait.", in_maintenance=("public.mine",),
        tablespaces=("fast",), migrations=("creativity",), taken=("10.1.3.46 (pool)",),
        free_bytes=1000, lacks_tls=True, unfinished=("cedbserver3 was cut off while leaving",),
    )  # fmt: skip
    with pytest.raises(RefusedError) as refused:
        plan_upgrade(facts)
    for words in (
        "Writes wait.",
        "public.mine",
        "fast",
        "creativity",
        "10.1.3.46",
        "1,000 are",
        "TLS",
        "a scale is not finished: cedbserver3 was cut off while leaving",
    ):
        assert words in refused.value.message
    assert refused.value.remedy is not None
    assert "migrate finish" in refused.value.remedy


def test_a_service_that_one_fault_would_stop_is_upgraded_with_a_warning() -> None:
    plan = plan_upgrade(replace(FACTS, protection="reduced", sentence="One is away."))
    assert "One is away." in plan.warnings


def test_members_of_the_two_sets_have_names_and_addresses_of_their_own() -> None:
    second = next_place(OLD, "cedbcluster", "18")
    old, new = member_hosts(OLD.of(Spec())), member_hosts(second.of(Spec()))
    assert [one.name for one in new] == ["cedbserver6", "cedbserver7", "cedbserver8"]
    assert [one.lab_address for one in new] == ["10.1.3.46", "10.1.3.47", "10.1.3.48"]
    assert not {one.lab_address for one in old} & {one.lab_address for one in new}


def test_the_next_upgrade_goes_back_to_the_first_set_under_a_new_name() -> None:
    second = next_place(OLD, "cedbcluster", "18")
    assert next_place(second, "cedbcluster", "19") == Place("cedbcluster-19", "19", 1)


def test_which_cluster_is_live_is_kept_and_the_spec_reads_as_for_it(tmp_path: Path) -> None:
    spec = Spec.model_validate({"backup": {"enabled": True}, "service": {"version": "17"}})
    assert live_spec(spec, tmp_path) is spec
    assert beside_spec(spec, tmp_path) is None
    new = next_place(OLD, "cedbcluster", "18")
    clusters = Clusters(new, OLD, (Place("cedbcluster-16", "16"),))
    write_clusters(tmp_path, clusters, server_account("postgres"))
    assert read_clusters(tmp_path) == clusters
    live, beside = live_spec(spec, tmp_path), beside_spec(spec, tmp_path)
    assert beside is not None
    assert (live.service.version, live.service.cluster_name) == ("18", "cedbcluster-18")
    assert live_spec(live, tmp_path) == live
    other = Spec.model_validate({"service": {"version": "19"}})
    assert live_spec(other, tmp_path).service.version == "19", "to be told, not passed over"
    assert beside.service.version == "17"
    assert (live.backup.enabled, beside.backup.enabled) == (True, False)


@pytest.mark.parametrize(
    ("live", "ending", "at", "words"),
    [
        ("old", None, ("old",), "--abort"),
        ("new", None, ("new", "new"), "--finish"),
        ("old", None, ("new", "old"), "cut off"),
        ("new", "finish", ("new",), "go on with --finish"),
    ],
)
def test_status_says_what_may_be_done(
    live: str, ending: str | None, at: tuple[str, ...], words: str
) -> None:
    assert words in what_next("18", live, ending, at)


def _status(*roles: str) -> ServiceStatus:
    members = tuple(
        MemberStatus(
            f"s{number}", "10.1.3.41", "127.1.3.41", 2866, role,
            "running" if role == "primary" else "streaming", 1, 0, 1,
        )
        for number, role in enumerate(roles, 1)
    )  # fmt: skip
    etcd = (EtcdStatus("etcd1", "127.1.3.51", 2379, True),)
    leads = tuple(one.name for one in members if one.role == "primary")
    writes = Endpoint("writes", "127.1.3.32", 2866, True, leads, 0)
    return ServiceStatus("c", "18.4", members, etcd, (writes,), Protection("full", "All is well."))


def test_a_minor_upgrade_begins_with_standbys_and_leaves_out_who_has_it() -> None:
    status = _status("quorum_standby", "primary", "quorum_standby")
    plan = plan_minor(status, {"s1": "18.4", "s2": "18.4", "s3": "18.6"}, (18, 6))
    assert (plan.order.standbys, plan.order.primary) == (("s1",), "s2")
    assert plan.behind == {"s1": "18.4", "s2": "18.4"}


def test_a_minor_upgrade_with_nobody_behind_does_nothing() -> None:
    status = _status("quorum_standby", "primary")
    assert not plan_minor(status, {"s1": "18.6", "s2": "18.6"}, (18, 6)).behind


def test_other_programs_of_another_major_version_are_no_minor_upgrade() -> None:
    with pytest.raises(UsageError, match="major upgrade"):
        plan_minor(_status("quorum_standby", "primary"), {"s1": "17.10", "s2": "17.10"}, (18, 6))
