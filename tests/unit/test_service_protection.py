"""The sentence on what protects the data is decided from facts alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from naru.service import ProtectionFacts, judge
from naru.service.status import replication_view

WELL = ProtectionFacts(
    members=3,
    primaries=("a",),
    synchronous=("b", "c"),
    streaming=("b", "c"),
    etcd_healthy=1,
    etcd_members=1,
)


def test_with_two_synchronous_standbys_protection_is_full() -> None:
    assert judge(WELL).level == "full"
    assert "on two nodes" in judge(WELL).sentence


def test_it_says_how_many_failures_are_survivable() -> None:
    assert judge(WELL).sentence.startswith("One failure survivable:")
    five = replace(
        WELL, members=5, synchronous=("b", "c", "d", "e"), streaming=("b", "c", "d", "e")
    )
    assert judge(five).sentence.startswith("Three failures survivable, one after the other:")
    assert judge(five).level == "full"


def test_with_one_synchronous_standby_left_it_says_which() -> None:
    found = judge(replace(WELL, synchronous=("c",), streaming=("c",), away={"b": "silent"}))
    assert found.level == "reduced"
    assert "b does not answer" in found.sentence
    assert "c is the only synchronous standby" in found.sentence


def test_without_a_synchronous_standby_writes_wait_and_it_says_so() -> None:
    found = judge(replace(WELL, synchronous=(), streaming=()))
    assert found.level == "none"
    assert found.sentence.startswith("Writes wait: no synchronous standby follows a")


def test_without_a_primary_writes_wait() -> None:
    found = judge(replace(WELL, primaries=(), synchronous=()))
    assert found.level == "none"
    assert "no primary" in found.sentence


def test_without_a_majority_of_etcd_the_reason_is_named() -> None:
    lost = replace(WELL, etcd_healthy=1, etcd_members=3)
    assert judge(lost).level == "reduced"
    assert "no failover can happen" in judge(lost).sentence
    assert "no majority" in judge(replace(lost, primaries=())).sentence


def test_one_node_of_the_election_is_told_though_the_data_are_well() -> None:
    assert judge(WELL).level == "full"
    assert "one node: its loss freezes failover" in judge(WELL).sentence
    three = replace(WELL, etcd_healthy=3, etcd_members=3)
    assert "etcd" not in judge(three).sentence
    two = replace(WELL, etcd_healthy=2, etcd_members=3)
    assert "misses 1 of 3 nodes: the loss of another freezes failover" in judge(two).sentence


def test_two_primaries_are_never_called_well() -> None:
    found = judge(replace(WELL, primaries=("a", "b")))
    assert found.level != "full"
    assert "a and b both answer as primary" in found.sentence


def test_a_cluster_of_two_is_reduced_even_when_all_is_there() -> None:
    found = judge(replace(WELL, members=2, synchronous=("b",), streaming=("b",)))
    assert found.level == "reduced"
    assert found.sentence.startswith("No failure survivable without a wait")
    assert "b is the only synchronous standby; losing it, or a," in found.sentence


def test_without_the_election_the_primary_says_who_confirms_commits() -> None:
    answers: list[dict[str, Any]] = [
        {"role": "replica", "state": "running"},
        {"role": "primary", "state": "running", "replication": [
            {"application_name": "b", "sync_state": "quorum"},
            {"application_name": "c", "sync_state": "async"},
        ]},
        {},
    ]  # fmt: skip
    assert replication_view(answers) == {"b": {"role": "quorum_standby"}, "c": {"role": "replica"}}
    assert replication_view([{"role": "primary", "state": "running"}]) == {}


def test_a_paused_cluster_is_not_called_well() -> None:
    found = judge(replace(WELL, paused=True))
    assert found.level == "reduced"
    assert "the cluster is paused" in found.sentence
    assert "no failover can happen" in found.sentence
    alone = judge(replace(WELL, paused=True, primaries=()))
    assert (alone.level, "paused" in alone.sentence) == ("none", True)


def test_a_member_that_is_being_copied_is_named_and_does_not_count() -> None:
    found = judge(replace(WELL, members=4, synchronous=("b", "c"), away={"d": "creating replica"}))
    assert found.level == "reduced"
    assert found.sentence.startswith("One failure survivable:")
    assert "any one of 3 nodes is lost (d is being copied)" in found.sentence
    assert found.survives == 1
    assert judge(replace(WELL, synchronous=("b",), streaming=("b",))).survives == 0


def test_a_standby_that_lags_or_is_not_synchronous_yet_is_named() -> None:
    found = judge(replace(WELL, lagging=("c",)))
    assert "c streams but lags in replay" in found.sentence
    found = judge(replace(WELL, synchronous=("b",)))
    assert found.level == "reduced"
    assert "c streams but is not synchronous yet" in found.sentence


def test_all_that_is_wrong_at_once_is_in_one_sentence() -> None:
    found = judge(
        replace(
            WELL, members=5, synchronous=("b",), streaming=("b", "c"), lagging=("b",),
            away={"d": "creating replica", "e": "silent"}, etcd_healthy=2, etcd_members=3,
        )
    )  # fmt: skip
    assert found.level == "reduced"
    for words in (
        "b is the only synchronous standby",
        "d is being copied; e does not answer; b streams but lags in replay; c streams but is not",
        "the loss of another freezes failover",
    ):
        assert words in found.sentence
