"""What naru.toml may say about backups, and what comes of it."""

from __future__ import annotations

from typing import Any

import pytest

from naru.ground.hosts import hosts_of
from naru.service.patroni import dynamic_configuration
from naru.spec import Spec
from naru.spec.check import check


def faults(**backup: Any) -> list[str]:
    found = check({"backup": backup})
    return [] if isinstance(found, Spec) else [f"{one.key}: {one.text}" for one in found]


def test_backups_are_off_as_in_the_reference_lab() -> None:
    assert not Spec().backup.enabled
    assert not {"backup", "restored1"} & {host.name for host in hosts_of(Spec())}
    assert "slots" not in dynamic_configuration(17, {})


def test_with_backups_there_are_their_hosts_a_slot_on_every_member_and_summaries() -> None:
    spec = Spec.model_validate({"backup": {"enabled": True, "restored": 2}})
    names = [host.name for host in hosts_of(spec)]
    assert names[-3:] == ["backup", "restored1", "restored2"]
    found = dynamic_configuration(17, {}, backup=True)
    assert found["slots"] == {"naru_backup": {"type": "physical"}}
    assert found["postgresql"]["parameters"]["summarize_wal"] == "on"
    assert any("naru_backup" in line for line in found["postgresql"]["pg_hba"])
    older = dynamic_configuration(16, {}, backup=True)
    assert "summarize_wal" not in older["postgresql"]["parameters"]


@pytest.mark.parametrize("key", ["start_hour", "archive_minutes", "retention_days"])
def test_the_edges_of_what_is_allowed_are_allowed(key: str) -> None:
    edges = {"start_hour": (0, 23), "archive_minutes": (5, 60), "retention_days": (7, 35)}
    for value in edges[key]:
        assert faults(enabled=True, **{key: value}) == []


@pytest.mark.parametrize(
    ("backup", "words"),
    [
        ({"enabled": "yes"}, "backup.enabled: \"yes\" is not allowed; allowed: true or false"),
        ({"start_hour": 24}, "start_hour: 24 is not allowed; allowed: a number from 0 to 23"),
        ({"archive_minutes": 15}, "allowed: 5 or 10 or 30 or 60"),
        ({"retention_days": 6}, "allowed: a number from 7 to 35"),
        ({"retention_days": 36}, "allowed: a number from 7 to 35"),
        ({"full_every_days": 8}, "allowed: a number from 1 to 7"),
        ({"enabled": True, "host": "10.1.3.32"}, "the address 10.1.3.32 is taken by service.host"),
        ({"enabled": True, "first_restored": "10.1.3.254"}, "leave the subnet"),
    ],
)  # fmt: skip
def test_what_is_not_allowed_is_named_with_what_is(backup: dict[str, Any], words: str) -> None:
    (fault,) = faults(**backup)
    assert words in fault
