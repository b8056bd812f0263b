"""Who comes, who leaves and who leads meanwhile is decided from facts alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from naru.errors import RefusedError, UsageError
from naru.ground import open_ground
from naru.journal import Journal
from naru.service import (
    Clusters,
    EtcdStatus,
    MemberStatus,
    Place,
    Protection,
    ScaleFacts,
    Service,
    ServiceStatus,
    WantedMembers,
    asked_for,
    observe_scale,
    plan_rebuild,
    plan_scale,
    recall_wanted,
    remember_wanted,
    wanted_of,
    write_clusters,
)
from naru.service.membership import IN, JOINING, LEAVING, Membership, Seat
from naru.spec import Spec

THREE = ScaleFacts("c", ("m1", "m2", "m3"), primary="m1", confirming=("m2", "m3"))
ONE_ETCD = ("etcd1",)
THREE_ETCD = ("etcd1", "etcd2", "etcd3")


def wanted(*members: str, etcd: tuple[str, ...] = ONE_ETCD) -> WantedMembers:
    return WantedMembers(members, etcd)


def test_nothing_is_planned_for_a_service_that_is_what_it_should_be() -> None:
    assert plan_scale(THREE, wanted("m1", "m2", "m3")).empty


def test_members_come_one_after_the_other_and_nobody_changes_the_lead() -> None:
    plan = plan_scale(THREE, wanted("m1", "m2", "m3", "m4", "m5"))
    assert (plan.add, plan.remove, plan.enter) == (("m4", "m5"), (), None)
    assert plan.notes == ()


def test_a_copy_that_was_cut_off_is_gone_on_with() -> None:
    facts = replace(THREE, unfinished=("m3",), confirming=("m2",))
    assert plan_scale(facts, wanted("m1", "m2", "m3")).add == ("m3",)


def test_going_to_two_members_says_that_writes_wait_while_one_is_away() -> None:
    plan = plan_scale(THREE, wanted("m1", "m2"))
    assert (plan.remove, plan.enter) == (("m3",), None)
    (note,) = plan.notes
    assert "m2 is the only synchronous standby" in note
    assert "writes wait" in note


def test_a_primary_that_is_to_go_hands_the_lead_over_first() -> None:
    plan = plan_scale(THREE, wanted("m2", "m3"))
    assert (plan.leave, plan.enter, plan.remove) == ("m1", "m2", ("m1",))
    assert [line.partition(" ")[0] for line in plan.sentences()] == ["m2", "m1"]


def test_a_member_that_comes_first_makes_room_for_a_primary_that_goes() -> None:
    two = replace(THREE, members=("m1", "m2"), confirming=("m2",))
    plan = plan_scale(two, wanted("m2", "m3"))
    assert (plan.add, plan.enter, plan.remove) == (("m3",), "m2", ("m1",))
    with pytest.raises(RefusedError, match="no synchronous standby would be left"):
        plan_scale(replace(two, confirming=()), wanted("m2", "m3"))


def test_the_last_synchronous_standby_is_not_taken_away() -> None:
    facts = replace(THREE, confirming=("m3",))
    with pytest.raises(RefusedError, match="no synchronous standby would be left"):
        plan_scale(facts, wanted("m1", "m2"))
    assert plan_scale(facts, wanted("m1", "m3")).remove == ("m2",)


def test_a_dead_member_can_be_replaced() -> None:
    facts = replace(THREE, confirming=("m3",))
    plan = plan_scale(facts, wanted("m1", "m3", "m4"))
    assert (plan.add, plan.remove, plan.enter) == (("m4",), ("m2",), None)


def test_without_a_primary_or_a_majority_no_member_comes_or_goes() -> None:
    with pytest.raises(RefusedError, match="no single primary"):
        plan_scale(replace(THREE, primary=None), wanted("m1", "m2"))
    with pytest.raises(RefusedError, match="no majority"):
        plan_scale(replace(THREE, etcd_healthy=()), wanted("m1", "m2"))
    with pytest.raises(RefusedError, match="the cluster is paused"):
        plan_scale(replace(THREE, paused=True), wanted("m1", "m2"))


def test_a_member_that_was_made_to_be_alone_stays_so() -> None:
    alone = replace(THREE, members=("m1",), confirming=())
    with pytest.raises(RefusedError, match="ha = false"):
        plan_scale(alone, wanted("m1", "m2"))


@pytest.mark.parametrize("names", [(), ("m1",), tuple(f"m{n}" for n in range(1, 7))])
def test_a_service_has_two_to_five_members(names: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="not possible"):
        plan_scale(THREE, wanted(*names))


def test_the_election_grows_before_members_come_and_shrinks_after_they_left() -> None:
    grown = replace(THREE, etcd=THREE_ETCD, etcd_healthy=THREE_ETCD)
    plan = plan_scale(THREE, wanted("m1", "m2", "m3", "m4", etcd=THREE_ETCD))
    assert plan.etcd_add == ("etcd2", "etcd3")
    assert "joins the election" in plan.sentences()[0]
    plan = plan_scale(grown, wanted("m1", "m2"))
    assert plan.etcd_remove == ("etcd3", "etcd2")
    assert "leaves the election" in plan.sentences()[-1]


def test_a_node_of_the_election_that_was_about_to_come_is_finished_or_taken_away() -> None:
    facts = replace(THREE, etcd_unfinished=("etcd2",))
    plan = plan_scale(facts, wanted("m1", "m2", "m3", etcd=THREE_ETCD))
    assert plan.etcd_add == ("etcd2", "etcd3")
    assert plan_scale(facts, wanted("m1", "m2", "m3")).etcd_remove == ("etcd2",)


def test_a_node_of_the_election_that_does_not_answer_is_the_first_to_leave() -> None:
    facts = replace(THREE, etcd=THREE_ETCD, etcd_healthy=("etcd1", "etcd3"))
    assert plan_scale(facts, wanted("m1", "m2", "m3")).etcd_remove == ("etcd2", "etcd3")


def test_a_member_that_was_about_to_leave_and_shall_stay_comes_anew() -> None:
    facts = replace(THREE, unfinished=("m3",), confirming=("m2",))
    plan = plan_scale(facts, wanted("m1", "m2", "m3"))
    assert (plan.add, plan.remove) == (("m3",), ())


def test_members_come_only_where_their_data_have_room() -> None:
    facts = replace(THREE, copy_bytes=1000, free_bytes=2000)
    assert plan_scale(facts, wanted("m1", "m2", "m3", "m4")).add == ("m4",)
    with pytest.raises(RefusedError, match="m4, m5 need about 2,600 bytes, and 2,000 are free"):
        plan_scale(facts, wanted("m1", "m2", "m3", "m4", "m5"))
    begun = replace(facts, unfinished=("m3",), free_bytes=0)
    assert plan_scale(begun, wanted("m1", "m2", "m3")).add == ("m3",)


def test_the_election_does_not_change_while_a_node_that_stays_is_ill() -> None:
    facts = replace(THREE, etcd=THREE_ETCD, etcd_healthy=("etcd2", "etcd3"))
    with pytest.raises(RefusedError, match="etcd1 of the election does not answer"):
        plan_scale(facts, wanted("m1", "m2", "m3"))
    ill = replace(facts, etcd_healthy=("etcd1", "etcd3"))
    assert plan_scale(ill, wanted("m1", "m2", "m3")).etcd_remove == ("etcd2", "etcd3")


def test_who_is_removed_by_name_has_its_number_skipped() -> None:
    spec = Spec()
    first = asked_for(spec, remove=["cedbserver1"])
    assert wanted_of(first).members == ("cedbserver2", "cedbserver3")
    assert (first.service.members, first.service.skip_members) == (2, (1,))
    last = asked_for(spec, remove=["cedbserver3"])
    assert (last.service.members, last.service.skip_members) == (2, ())
    assert asked_for(first, etcd=3).service.skip_members == (1,)
    everyone = asked_for(first, members=5)
    assert (everyone.service.members, everyone.service.skip_members) == (5, ())
    grown = asked_for(first, members=3, etcd=3)
    assert wanted_of(grown) == WantedMembers(
        ("cedbserver2", "cedbserver3", "cedbserver4"), THREE_ETCD
    )


def test_after_a_major_upgrade_members_have_numbers_of_the_second_set() -> None:
    live = Place("cedbcluster-18", "18", 6).of(Spec())
    assert wanted_of(asked_for(live, members=2)).members == ("cedbserver6", "cedbserver7")
    gone = asked_for(live, remove=["cedbserver6"])
    assert wanted_of(gone).members == ("cedbserver7", "cedbserver8")
    assert gone.service.skip_members == (6,)
    with pytest.raises(UsageError, match="no member 'cedbserver1'"):
        asked_for(live, remove=["cedbserver1"])


def test_during_a_major_upgrade_nobody_comes_or_goes(tmp_path: Path) -> None:
    ground = open_ground(Spec(), tmp_path)
    old, new = Place("cedbcluster", "17"), Place("cedbcluster-18", "18", 6)
    write_clusters(tmp_path, Clusters(live=old, beside=new), ground.account)
    with pytest.raises(RefusedError, match="cedbcluster-18 beside it: nobody comes or goes"):
        observe_scale(Service(Spec(), ground))


def test_a_service_for_which_nobody_noted_who_belongs_comes_up_first(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="never noted") as refused:
        observe_scale(Service(Spec(), open_ground(Spec(), tmp_path)))
    assert "naru up" in (refused.value.remedy or "")


def test_a_member_that_there_is_not_cannot_be_removed() -> None:
    with pytest.raises(UsageError, match="no member 'nobody'"):
        asked_for(Spec(), remove=["nobody"])


def test_a_scale_that_was_cut_off_is_remembered_until_it_is_done(tmp_path: Path) -> None:
    with Journal.in_folder(tmp_path) as journal:
        assert recall_wanted(journal, Spec()) == Spec()
        asked = asked_for(Spec(), members=2, etcd=3)
        run = journal.begin("service", "scale")
        remember_wanted(run, asked)
        assert recall_wanted(journal, Spec()) == asked
        run.end("failed")
        assert recall_wanted(journal, Spec()) == asked
        run.end("done")
        assert recall_wanted(journal, Spec()) == Spec()


def test_a_membership_is_written_and_read_back_unchanged() -> None:
    one = Membership.of(Spec()).with_member(4, JOINING).with_etcd(2, Seat((1, 2), True, LEAVING))
    assert Membership.from_json(one.to_json()) == one
    assert one.voters == (1,)
    assert one.with_member(4, IN).without_member(2).members == {1: IN, 3: IN, 4: IN}


def status(*members: tuple[str, str]) -> ServiceStatus:
    return ServiceStatus(
        cluster="c",
        version="17.10",
        members=tuple(
            MemberStatus(
                name, "10.1.3.41", "127.1.3.41", 2866, role,
                "running" if role == "primary" else "streaming", 1, 0, 7,
            )
            for name, role in members
        ),
        etcd=(EtcdStatus("etcd1", "127.1.3.51", 2379, True),),
        endpoints=(),
        protection=Protection("full", "All is well."),
    )  # fmt: skip


def test_a_standby_is_rebuilt_and_the_primary_is_not() -> None:
    found = status(("m1", "primary"), ("m2", "quorum_standby"), ("m3", "quorum_standby"))
    assert plan_rebuild(found, "m2").notes == ()
    with pytest.raises(RefusedError, match="m1 is the primary"):
        plan_rebuild(found, "m1")
    with pytest.raises(UsageError, match="no member 'm9'"):
        plan_rebuild(found, "m9")


def test_rebuilding_the_last_synchronous_standby_says_that_writes_wait() -> None:
    plan = plan_rebuild(status(("m1", "primary"), ("m2", "quorum_standby")), "m2")
    assert "all writes wait" in plan.question
    assert "no other synchronous standby" in plan.notes[0]


def test_without_a_primary_nothing_can_be_copied() -> None:
    with pytest.raises(RefusedError, match="no single primary"):
        plan_rebuild(status(("m1", "replica"), ("m2", "replica")), "m2")
