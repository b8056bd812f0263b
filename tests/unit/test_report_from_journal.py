"""A story out of the journal, and the command that writes it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from naru.cli.main import app
from naru.errors import UsageError
from naru.ground import state_folder
from naru.journal import Journal, Step, perform
from naru.report import LagPoint, story_from_journal


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.in_folder(tmp_path) as opened:
        yield opened


def keep_migration(journal: Journal) -> None:
    run = journal.begin("migrate", "creativity")
    steps = [Step(name, name.title(), lambda: None) for name in ("copy", "follow", "cutover")]
    perform(run, steps)
    run.event("cutover.pause", "clients wait", number=1)
    run.event("cutover.resume", "clients go on", number=1)
    for name, value in (("tables", 3), ("rows", 1000), ("bytes", 5_000_000), ("seconds", 2.5)):
        run.figure(f"copy.{name}", value)
    run.figure("cutover.pause_ms", 210.0, "ms")
    run.figure("cutover.steps", {"pause": 60.0, "fence": 150.0}, "ms")
    for name, value in (("tables", 2), ("rows", 900), ("differences", 1), ("seconds", 0.7)):
        run.figure(f"verify.{name}", value)
    run.figure("verify.lsn", "0/5A3C1D28")
    run.remember("verification", [
        {"table": "public.users", "rows": 600, "same": True, "differences": [], "seconds": 0.4},
        {"table": "public.tags", "rows": 300, "same": False, "differences": [{"kind": "missing"}]},
    ])  # fmt: skip
    run.sample("lag", at=run.started + 1, bytes=2048, seconds=0.5)


def keep_demo(journal: Journal) -> None:
    demo = journal.begin("demo", "the whole story")
    keep_migration(journal)
    drill = journal.begin("drill", "kill-primary")
    drill.event("drill.kill", "kill -9 of the primary")
    counted = {"seconds": 2.2, "client_errors": 4, "acknowledged": 50, "failed": 3, "unknown": 1,
               "lost": 0, "duplicated": 0}  # fmt: skip
    for name, value in counted.items():
        drill.figure(name, value)
    drill.end("kept")
    cutover = {"write_pause_ms": 260.5, "client_errors": 0, "acknowledged": 800, "lost": 0,
               "duplicated": 0}  # fmt: skip
    for name, value in cutover.items():
        demo.figure(f"cutover.{name}", value)
    for number in range(5):
        demo.sample("workload", at=demo.started + number / 10, commits=20, errors=0,
                    p50_ms=6.0, p95_ms=11.0, max_ms=20.0)  # fmt: skip
    demo.sample("commit-times", around="cutover", commits=[[1.0, 0, 6.0], [1.3, 1, None]])
    demo.remember("environment", {"Old side": "PostgreSQL 15"})
    demo.end("finished")


def test_an_empty_journal_says_what_to_do(journal: Journal) -> None:
    with pytest.raises(UsageError, match="no migration, drill or demo") as caught:
        story_from_journal(journal)
    assert "naru demo" in str(caught.value.remedy)


def test_a_migration_alone_becomes_a_story(journal: Journal) -> None:
    keep_migration(journal)
    story = story_from_journal(journal)
    assert story.title == "creativity"
    assert story.copy is not None and story.copy.bytes == 5_000_000
    assert story.cutover is not None
    assert story.cutover.pause_ms == 210.0
    assert story.cutover.write_pause_ms is None
    assert [step.name for step in story.cutover.steps] == ["pause", "fence"]
    assert story.verification is not None
    assert [table.differences for table in story.verification.details] == [0, 1]
    assert story.failover is None
    assert story.lag == (LagPoint(story.lag[0].at, 2048, 0.5),)
    assert "failover" not in story.expects


def test_the_steps_are_marked_on_the_time_line(journal: Journal) -> None:
    keep_migration(journal)
    story = story_from_journal(journal)
    labels = [event.label for event in story.events if event.label]
    assert labels == ["copy starts", "copy ends", "following", "cutover"]
    assert [phase.name for phase in story.phases] == ["copy", "following", "on the new service"]


def test_the_demo_adds_what_clients_saw(journal: Journal) -> None:
    keep_demo(journal)
    story = story_from_journal(journal)
    assert story.cutover is not None and story.failover is not None
    assert story.cutover.write_pause_ms == 260.5
    assert story.cutover.pause_ms == 210.0
    assert [commit.ms for commit in story.cutover.commits] == [6.0, None]
    assert story.failover.seconds == 2.2
    assert story.failover.at is not None
    assert [row.scope for row in story.ledger] == ["cutover", "failover"]
    assert [point.seconds for point in story.workload] == pytest.approx([0.1] * 5, rel=0.01)
    assert ("Old side", "PostgreSQL 15") in story.environment
    assert "failover" in story.expects


def test_an_older_demo_and_drill_do_not_lend_their_figures(journal: Journal) -> None:
    keep_demo(journal)
    keep_migration(journal)
    story = story_from_journal(journal)
    assert story.failover is None
    assert story.cutover is not None and story.cutover.write_pause_ms is None
    assert story.workload == ()


def test_a_failed_step_is_the_failure_until_it_succeeds(journal: Journal) -> None:
    run = journal.begin("migrate", "creativity")

    def fail() -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        perform(run, [Step("copy", "Copy", fail)])
    assert story_from_journal(journal).failure == "Copy: disk full"
    perform(run, [Step("copy", "Copy", lambda: None)])
    assert story_from_journal(journal).failure is None


def test_the_way_back_is_no_second_cutover(journal: Journal) -> None:
    keep_migration(journal)
    run = journal.latest("migrate")
    assert run is not None
    run.event("cutover.pause", "clients wait", number=2)
    story = story_from_journal(journal)
    assert [event.label for event in story.events if event.label][-1] == "rollback"


def test_the_command_writes_both_files_and_prints_the_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("naru.ground.state_folder", lambda _: tmp_path / "state")
    with Journal.in_folder(tmp_path / "state") as journal:
        keep_demo(journal)
    done = CliRunner().invoke(app, ["report", "--out", "here", "--json"])
    assert done.exit_code == 0
    assert json.loads(done.stdout)["verdict"] == "failed"
    assert (tmp_path / "here" / "report.html").exists()
    assert json.loads((tmp_path / "here" / "report.json").read_text()) == json.loads(done.stdout)


def test_the_command_leaves_no_journal_where_nothing_was_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["report"])
    assert isinstance(done.exception, UsageError)
    assert not state_folder(None).exists()
    assert not (tmp_path / "out").exists()
