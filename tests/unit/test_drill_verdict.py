"""A promise holds or breaks by the facts alone, and breaks when it must."""

from __future__ import annotations

from dataclasses import replace

import pytest
from typer.testing import CliRunner

from naru.cli.drill import app
from naru.drill import FaultFacts, Gap, LedgerVerdict, Promise, decide, find_drill
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


def test_an_unknown_drill_names_those_there_are() -> None:
    with pytest.raises(UsageError, match="no drill 'x'") as caught:
        find_drill("x")
    assert "kill-primary" in str(caught.value.remedy)
