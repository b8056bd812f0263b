"""A promise holds or breaks by the facts alone, and breaks when it must."""

from __future__ import annotations

from dataclasses import replace

import pytest
from typer.testing import CliRunner

from naru.cli.drill import app
from naru.drill import (
    DRILLS,
    FaultFacts,
    Gap,
    LedgerVerdict,
    Promise,
    choose_drills,
    decide,
    find_drill,
    not_run,
)  # fmt: skip
from naru.drill.strike import has_returned, is_whole
from naru.errors import UsageError
from naru.service import Endpoint, MemberStatus, Protection, ServiceStatus

PROMISE = Promise(5.0)
GOOD = FaultFacts(
    struck_at=100.0,
    commits_before=250,
    silence=Gap(100.0, 102.0),
    first_commit=102.01,
    client_errors=8,
    primary_before="one",
    primary_after="two",
    whole_at=110.0,
    ledger=LedgerVerdict(acknowledged=1000, failed=5, unknown=3, unknown_committed=1),
)


def test_a_kept_promise_gives_its_figures() -> None:
    verdict = decide("kill-primary", PROMISE, GOOD)
    assert verdict.kept
    assert verdict.broken == ()
    document = verdict.to_json()
    assert (document["seconds"], document["longest_silence_ms"]) == (2.01, 2000.0)
    assert (document["client_errors"], document["lost"], document["duplicated"]) == (8, 0, 0)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"first_commit": 105.01}, "5.01 s"),
        ({"first_commit": None}, "did not work again"),
        ({"whole_at": None}, "members back"),
        ({"ledger": None}, "could not be read"),
        ({"commits_before": 0}, "nothing was measured"),
        ({"ledger": LedgerVerdict(acknowledged=9, lost=1)}, "lost"),
        ({"ledger": LedgerVerdict(acknowledged=9, duplicated=2)}, "more than once"),
        ({"ledger": LedgerVerdict(acknowledged=9, phantom=1)}, "told to have failed"),
    ],
)
def test_each_way_to_break_it_breaks_it(change: dict[str, object], word: str) -> None:
    verdict = decide("kill-primary", PROMISE, replace(GOOD, **change))  # type: ignore[arg-type]
    assert not verdict.kept
    assert len(verdict.broken) == 1
    assert word in verdict.broken[0]


def test_exactly_the_promised_time_still_keeps_it() -> None:
    assert decide("x", PROMISE, replace(GOOD, first_commit=105.0)).kept


def _member(name: str, role: str, state: str) -> MemberStatus:
    return MemberStatus(name, "10.1.3.41", "127.1.3.41", 2866, role, state, 1, 0, 1)


def _status(*members: MemberStatus, writes: bool = True) -> ServiceStatus:
    end = Endpoint("writes", "127.1.3.32", 2866, writes, (), 0)
    return ServiceStatus("c", "17.10", members, (), (end,), Protection("full", ""))


def test_a_service_is_whole_with_a_primary_and_all_others_streaming() -> None:
    primary = _member("a", "primary", "running")
    sync = _member("b", "quorum_standby", "streaming")
    assert is_whole(_status(primary, sync))
    assert is_whole(_status(primary, sync, _member("c", "replica", "streaming")))
    assert not is_whole(_status(primary, _member("b", "replica", "streaming")))
    assert not is_whole(_status(primary, sync, _member("c", "replica", "starting")))
    assert not is_whole(_status(sync))
    assert not is_whole(_status(primary, sync, writes=False))


def test_a_member_has_returned_only_with_another_postmaster() -> None:
    fresh = replace(_member("a", "primary", "running"), pid=2)
    for pid, returned in ((1, False), (None, False), (2, True)):
        assert has_returned(_status(replace(fresh, pid=pid)), "a", killed=1) is returned
    assert not has_returned(_status(fresh), "b", killed=1)


def test_drills_are_listed_on_stdout() -> None:
    done = CliRunner().invoke(app, ["list"])
    assert done.exit_code == 0
    assert done.stdout.startswith("kill-primary\t")


def test_each_of_the_thirty_two_faults_has_its_drill_which_says_what_it_takes() -> None:
    covered = [number for drill in DRILLS.values() for number in drill.numbers]
    assert sorted(covered) == list(range(1, 33))
    assert sum(drill.seconds for drill in DRILLS.values()) <= 40 * 60
    document = DRILLS["cut-off-from-etcd"].to_json()
    assert document["numbers"] == [10] and document["needs"] and document["seconds"] > 0


def test_some_of_all_can_be_chosen() -> None:
    assert len(choose_drills("all")) == len(DRILLS)
    assert [one.name for one in choose_drills("all", only=("restart",))] == ["restart"]
    assert "restart" not in [one.name for one in choose_drills("all", without=("restart",))]
    with pytest.raises(UsageError, match="no drill"):
        choose_drills("all", only=("rest",))
    with pytest.raises(UsageError, match="choose among all"):
        choose_drills("restart", only=("restart",))


def test_a_drill_that_could_not_be_run_has_broken_its_promise() -> None:
    verdict = not_run("restart", Promise(errors=0), "nobody answers")
    assert not verdict.kept and verdict.lost is None
    assert verdict.broken == ("it could not be run: nobody answers",)


@pytest.mark.parametrize("after", [None, 120.0])
def test_writes_that_come_back_late_after_the_fault_break_the_promise(after: float | None) -> None:
    facts = replace(GOOD, healed_at=101.0, first_commit=after)
    verdict = decide("x", Promise(resumed=10.0), facts)
    assert len(verdict.broken) == 1 and "once the fault was over" in verdict.broken[0]
    assert decide("x", Promise(resumed=10.0), replace(facts, first_commit=104.0)).kept


def test_an_unknown_drill_names_those_there_are() -> None:
    with pytest.raises(UsageError, match="no drill 'x'") as caught:
        find_drill("x")
    assert "kill-primary" in str(caught.value.remedy)
