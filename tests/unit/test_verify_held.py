"""What a comparison's snapshot holds back, and when that is too much: decisions."""

from __future__ import annotations

import pytest

from naru.errors import UsageError
from naru.verify import ALWAYS, Held, HeldLimit, stop_when
from naru.verify.held import Beginnings, too_much

LIMITS = stop_when(["held>2h", "dead>5_000_000"])
WITHIN = Held(7200.0, 5_000_000, 200_000_000)


@pytest.mark.parametrize(
    ("held", "said"),
    [
        (Held(7200.1, 0, 0), "the snapshot on the target reached its bound, it was held for 2 h"),
        (Held(0.0, 5_000_001, 0), "its bound, 5,000,000 row versions died since"),
        (Held(0.0, 0, 200_000_001), "its bound, 200,000,000 transactions have begun since"),
    ],
)
def test_one_bound_passed_on_one_side_is_too_much(held: Held, said: str) -> None:
    reason = too_much({"source": WITHIN, "target": held}, LIMITS)
    assert said in (reason or "")


def test_up_to_the_bounds_snapshots_may_be_held() -> None:
    assert too_much({"source": WITHIN, "target": WITHIN}, LIMITS) is None


def test_transactions_are_bounded_unless_somebody_says_otherwise() -> None:
    assert stop_when([]) == ALWAYS
    assert stop_when(["xids>7"]) == (HeldLimit("xids", 7),)
    assert {limit.measure for limit in stop_when(["held>90min"])} == {"held", "xids"}


@pytest.mark.parametrize("text", ["held", "held>", "held>soon", "dead>5GB", "xids>-1", "lag>3"])
def test_what_is_no_bound_is_told(text: str) -> None:
    with pytest.raises(UsageError):
        HeldLimit.parse(text)


def test_what_died_counts_from_the_beginning_of_the_oldest_snapshot() -> None:
    beginnings = Beginnings()
    assert beginnings.since([10.0], 100) == 0
    assert beginnings.since([10.0, 12.0], 130) == 30
    assert beginnings.since([12.0], 150) == 20, "the older one was given back"
    assert beginnings.since([], 160) == 0
    assert beginnings.since([12.0], 170) == 0, "another transaction, though at the same moment"


def test_counters_that_were_reset_give_nothing_rather_than_nonsense() -> None:
    beginnings = Beginnings()
    beginnings.since([10.0], 1_000)
    assert beginnings.since([10.0], 5) == 0


def test_the_most_of_each_measure_is_kept() -> None:
    most = Held(10.0, 5, 100).or_more(Held(3.0, 50, 7))
    assert most == Held(10.0, 50, 100)
    assert most.to_json() == {"seconds": 10.0, "dead_row_versions": 50, "transactions": 100}
