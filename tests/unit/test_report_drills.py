"""The page of a series of drills."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from naru.report import render_drills, write_drills
from tests.unit.test_report_in_chromium import CHROMIUM, browse, shoot


def verdict(drill: str = "kill-primary", **changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "drill": drill, "promise": "writes again within 5 s, nothing lost, nothing duplicated",
        "kept": True, "broken": (), "struck_at": 1_750_000_000.0, "seconds": 3.0,
        "longest_silence_ms": 3100.0, "whole_after_seconds": 9.0, "client_errors": 2,
        "acknowledged": 1500, "lost": 0, "duplicated": 0,
        "primary_before": "db1", "primary_after": "db2",
    }  # fmt: skip
    return {**found, **changes}


def test_all_that_held_is_said_in_one_sentence() -> None:
    page = render_drills("Drills", [verdict(), verdict("restart", seconds=None)])
    assert "All 2 promises held." in page and "What broke" not in page
    assert "3,000" in page, "acknowledged transactions are summed"
    timed = [verdict(took_seconds=70.0), verdict("restart", took_seconds=53.6)]
    assert "All 2 promises held, in 2 min 04 s." in render_drills("Drills", timed)
    assert "<script" not in page and "http" not in page.split("</title>")[1]


def test_runs_of_one_drill_are_one_row_with_median_and_worst() -> None:
    page = render_drills("Drills", [verdict(seconds=value) for value in (3.0, 2.0, 4.5)])
    assert page.count("<tr") == 2
    assert "3 of 3 held" in page and "3.0 s, worst 4.5 s" in page and "4,500" in page


def test_what_broke_stands_out_with_its_reason() -> None:
    broken = verdict("freeze", kept=False, broken=("9 <acknowledged> were lost",), lost=9)
    page = render_drills("Drills", [verdict(), broken])
    assert "1 of 2 promises broke." in page and "0 of 1 held" in page
    assert "9 &lt;acknowledged&gt; were lost (primary db1 → db2)" in page


def test_reads_leads_and_what_was_left_out_are_shown(tmp_path: Path) -> None:
    lead = {"member": "db1", "from_seconds": -3.0, "to_seconds": 0.2}
    ends = {"writes": {"again_seconds": 2.5}, "reads": {"again_seconds": 0.0}}
    details = {"renewal_seconds": 2.25, "alarms": ["gap", "slot"], "steps": {"pause": 0.5}}
    one = verdict(
        reads=ends, stale_reads=0, leads=(lead,), two_primaries_seconds=1.5, details=details
    )
    page = write_drills("Drills", [one], tmp_path / "some.html", {"fill-disk": "needs root"})
    text = page.read_text(encoding="utf-8")
    assert page.name == "some.html"
    assert "2.5 s" in text and "db1 -3.0 to +0.2 s" in text and "1.5 s" in text
    assert "needs root" in text and "Not run: fill-disk." in text
    assert "renewal seconds: 2.25; alarms: gap, slot; steps: pause 0.5" in text
    document = json.loads((tmp_path / "some.json").read_text(encoding="utf-8"))
    assert document["left_out"] == {"fill-disk": "needs root"}


def test_a_series_of_which_nothing_could_be_run_has_not_passed() -> None:
    page = render_drills("Drills", [], {"clock-jump": "needs libfaketime"})
    assert "Passed" not in page and "Nothing was shown. Not run: clock-jump." in page


def test_what_is_not_known_is_not_called_nothing() -> None:
    page = render_drills("Drills", [verdict(), verdict(lost=None, acknowledged=None, seconds=None)])
    assert page.count("not known") >= 4


def test_the_same_figures_are_there_for_programs(tmp_path: Path) -> None:
    page = write_drills("Drills", [verdict()], tmp_path / "out")
    document = json.loads((page.parent / "drills.json").read_text(encoding="utf-8"))
    assert document["drills"][0]["seconds"] == 3.0


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium to draw the page")
@pytest.mark.parametrize(("scheme", "ground"), [("light", "#ffffff"), ("dark", "#14171b")])
def test_it_is_drawn(scheme: str, ground: str, tmp_path: Path) -> None:
    page = write_drills("Drills", [verdict(), verdict("restart")], tmp_path)
    colours = shoot(page, tmp_path, scheme, 1200, 900).colours()
    assert colours.most_common(1)[0][0] == tuple(bytes.fromhex(ground[1:]))
    assert len(colours) > 40
    assert "kill-primary" in browse(page, tmp_path, "--dump-dom")
