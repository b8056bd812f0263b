"""What a row of looks says about an address: decided without a server."""

from __future__ import annotations

from naru.cli.probe import line, summary
from naru.traffic import Look, Tally


def good(at: float, node: str = "db1", ms: float = 2.0) -> Look:
    return Look(at, ms, "app_user", node, "primary")


def bad(at: float, why: str = "refused") -> Look:
    return Look(at, 1.0, error=why)


def tally(*looks: Look) -> Tally:
    found = Tally()
    for look in looks:
        found.add(look)
    return found


def test_without_a_failure_there_is_no_outage() -> None:
    found = tally(good(1, ms=1), good(2, ms=3), good(3, ms=8))
    assert (found.looks, found.failed, found.outages) == (3, 0, [])
    assert (found.median_ms, found.worst_ms, found.nodes) == (3, 8, ["db1"])


def test_an_outage_is_bounded_by_the_looks_around_it() -> None:
    found = tally(good(10), bad(11, "first"), bad(12, "second"), good(13.5, "db2", ms=500))
    (outage,) = found.outages
    assert (outage.looks, outage.error) == (2, "first")
    assert abs(outage.at_least - 1.001) < 1e-6
    assert outage.at_most is not None and abs(outage.at_most - (14.0 - 10.002)) < 1e-6
    assert found.nodes == ["db1", "db2"]


def test_each_outage_is_told_by_itself() -> None:
    found = tally(bad(1), good(2), bad(3), bad(4), bad(5))
    first, second = found.outages
    assert (first.at_most, first.answered_before) == (None, None)
    assert (second.looks, second.answered_after) == (3, None)
    assert found.to_json()["outages"][1]["at_least_s"] == 2.001


def test_words() -> None:
    said = summary(tally(good(10), bad(11), bad(12), good(13, "db2")))
    assert said[0] == "4 looks, 2 failed; median 2.0 ms, worst 2.0 ms"
    assert said[1] == "answered by db1, then db2"
    assert "1.0 s to 3.0 s (2 looks): refused" in said[2]
    assert summary(tally(bad(1)))[1].endswith("so far (1 look): refused")
    assert "FAILED" in line(bad(1)) and line(bad(1)).endswith("refused")
    assert line(good(1)).endswith("app_user  db1 (primary)")
