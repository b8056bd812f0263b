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


def test_with_one_synchronous_standby_left_it_says_which() -> None:
    found = judge(replace(WELL, synchronous=("c",), streaming=("c",)))
    assert found.level == "reduced"
    assert "1 of 3 nodes away" in found.sentence
    assert "c is the only synchronous standby" in found.sentence


def test_without_a_synchronous_standby_writes_wait_and_it_says_so() -> None:
    found = judge(replace(WELL, synchronous=(), streaming=()))
    assert found.level == "none"
    assert "No synchronous standby follows a: writes wait" in found.sentence


def test_without_a_primary_writes_wait() -> None:
    found = judge(replace(WELL, primaries=(), synchronous=()))
    assert found.level == "none"
    assert "no primary" in found.sentence


def test_without_a_majority_of_etcd_the_reason_is_named() -> None:
    lost = replace(WELL, etcd_healthy=1, etcd_members=3)
    assert judge(lost).level == "reduced"
    assert "no failover can happen" in judge(lost).sentence
    assert "no majority" in judge(replace(lost, primaries=())).sentence


def test_two_primaries_are_never_called_well() -> None:
    found = judge(replace(WELL, primaries=("a", "b")))
    assert found.level != "full"
    assert "a and b both answer as primary" in found.sentence


def test_a_cluster_of_two_is_reduced_even_when_all_is_there() -> None:
    found = judge(replace(WELL, members=2, synchronous=("b",), streaming=("b",)))
    assert found.level == "reduced"
    assert "away" not in found.sentence


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
