"""The verdict, and the document for programs."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from naru.report import Failover, Ledger, Story, judge
from naru.report.verdict import exactness
from tests import stories


def test_a_run_that_kept_every_promise_passes() -> None:
    verdict = judge(stories.whole())
    assert verdict.word == "passed"
    assert "writes paused for 384 ms" in verdict.sentence
    assert "all 2,936,097 rows are the same" in verdict.sentence
    assert "2.3 s" in verdict.sentence


def test_every_broken_promise_is_named() -> None:
    verdict = judge(stories.broken())
    assert verdict.word == "failed"
    assert verdict.broken == (
        "writes paused for 1,420 ms (1,000 ms promised)",
        "1 acknowledged commit lost at the cutover",
        "2 differences between the two sides",
    )


def test_what_was_not_run_makes_the_story_incomplete() -> None:
    verdict = judge(stories.partial())
    assert verdict.word == "incomplete"
    assert verdict.missing == ("the cutover was not run", "the verification was not run")


def test_a_pause_of_exactly_the_promise_is_kept() -> None:
    story = stories.whole()
    assert story.cutover is not None
    kept = replace(story, cutover=replace(story.cutover, write_pause_ms=1000.0))
    late = replace(story, cutover=replace(story.cutover, write_pause_ms=1000.1))
    assert judge(kept).word == "passed"
    assert judge(late).word == "failed"


@pytest.mark.parametrize("field", ["lost", "duplicated", "client_errors"])
def test_a_cutover_that_was_not_counted_does_not_pass(field: str) -> None:
    story = stories.whole()
    assert story.cutover is not None
    changes: dict[str, Any] = {field: None}
    uncounted = replace(story.cutover, **changes)
    assert judge(replace(story, cutover=uncounted)).word == "incomplete"


@pytest.mark.parametrize("field", ["lost", "duplicated", "client_errors"])
def test_one_of_anything_that_must_be_none_fails(field: str) -> None:
    story = stories.whole()
    assert story.cutover is not None
    changes: dict[str, Any] = {field: 1}
    marred = replace(story.cutover, **changes)
    assert judge(replace(story, cutover=marred)).word == "failed"


def test_a_live_comparison_is_not_called_exact() -> None:
    story = stories.whole()
    assert story.verification is not None
    live = replace(story, verification=replace(story.verification, exact_at_lsn=None))
    assert judge(live).missing == ("the verification was live, not exact",)


def test_a_comparison_that_gave_its_snapshots_back_is_not_the_whole_story() -> None:
    story = stories.whole()
    assert story.verification is not None
    partly = replace(story.verification, not_reached=3)
    assert judge(replace(story, verification=partly)).missing == (
        "3 tables not compared at the switch",
    )
    assert exactness(partly).endswith(", 3 tables not reached")


def test_writes_that_never_came_back_fail() -> None:
    verdict = judge(replace(stories.whole(), failover=Failover(None, 8, 10, 0, 0)))
    assert verdict.broken == ("writes did not come back after the primary was killed",)


def test_client_errors_of_a_failover_are_no_broken_promise() -> None:
    story = stories.whole()
    assert story.failover is not None and story.failover.client_errors == 8
    assert judge(story).word == "passed"


def test_a_loss_that_only_the_ledger_saw_fails() -> None:
    verdict = judge(replace(stories.whole(), ledger=(Ledger("whole run", 100, 0, 0, 2, 0),)))
    assert verdict.broken == ("2 acknowledged commits lost (whole run)",)


def test_a_loss_that_the_ledger_repeats_is_told_once() -> None:
    story = stories.broken()
    verdict = judge(replace(story, ledger=(Ledger("cutover", 100, 0, 0, 1, 0),)))
    assert sum("lost" in phrase for phrase in verdict.broken) == 1


def test_a_run_that_stopped_says_why() -> None:
    verdict = judge(replace(stories.partial(), failure="Copy the tables: disk full"))
    assert verdict.word == "failed"
    assert verdict.sentence == "The run did not reach its end: Copy the tables: disk full."


def test_the_document_has_the_promised_keys() -> None:
    document = stories.whole().to_json()
    assert list(document) == [
        "verdict", "verdict_text", "broken", "missing", "title", "started", "ended", "targets",
        "copy", "cutover", "verification", "failover", "ledger", "events", "phases", "series",
        "environment",
    ]  # fmt: skip
    assert document["verdict"] == "passed"
    assert set(document["copy"]) == {"tables", "rows", "bytes", "seconds"}
    promised = {"write_pause_ms", "client_errors", "acknowledged", "lost", "duplicated"}
    assert promised <= set(document["cutover"])
    promised = {"tables", "rows", "differences", "seconds", "exact_at_lsn"}
    assert promised <= set(document["verification"])
    assert {"seconds", "client_errors", "lost", "duplicated"} <= set(document["failover"])
    assert set(document["events"][0]) == {"at", "kind", "text"}
    assert document["cutover"]["steps"]["drain"] == 92.7
    assert document["started"] == "2026-05-28T20:26:40.000Z"
    json.dumps(document)


def test_parts_that_were_not_run_are_null_and_not_zero() -> None:
    document = stories.partial().to_json()
    assert document["cutover"] is document["verification"] is document["failover"] is None
    assert document["ended"] is None


def test_an_empty_story_can_be_told() -> None:
    document = Story("nothing", 0.0).to_json()
    assert document["verdict"] == "incomplete"
    assert document["series"] == {"workload": [], "lag": []}
