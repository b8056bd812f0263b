"""What was done with an environment can be read again: when, by whom, how it ended."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from naru.cli.main import app
from naru.errors import NaruError
from naru.ground import Certificates
from naru.ground.identities import Identity
from naru.journal import Journal
from naru.lab.noting import issues_noted, note_changes, noted
from naru.service import ChangePlan, PlannedChange
from naru.system import operator, server_account

CHANGE = PlannedChange("work_mem", "4MB", "8MB", "reload", "service.settings")
POOL = Identity("pool", "clients of the pool", ("pool",), ("127.7.3.30",))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The state of the environment of a naru.toml in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("naru.ground.state_folder", lambda file: tmp_path / "state")
    return tmp_path / "state"


def shown(*options: str) -> str:
    done = CliRunner().invoke(app, ["service", "history", *options])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_planned_work_is_told_with_who_asked_for_it_and_how_it_ended(folder: Path) -> None:
    note_changes(folder, ChangePlan((CHANGE,)))
    with pytest.raises(NaruError, match="no standby"), noted(folder, "restart"):
        raise NaruError("no standby follows\nand more")
    told = json.loads(shown("--json"))
    assert [(one["what"], one["by"], one["outcome"]) for one in told] == [
        ("up", operator(), "done"), ("restart", operator(), "failed"),
    ]  # fmt: skip
    assert told[0]["events"] == ["work_mem: 4MB → 8MB"]
    assert told[1]["events"] == ["no standby follows"]
    assert "work_mem: 4MB → 8MB" in shown()
    assert "work_mem" not in shown("--last", "1")


def test_nothing_is_made_where_nothing_was_done(folder: Path) -> None:
    note_changes(folder, ChangePlan())
    assert json.loads(shown("--json")) == []
    assert not folder.exists()


def test_certificates_that_are_issued_are_noted_with_their_end(folder: Path) -> None:
    certificates = Certificates(folder / "tls", server_account(), "test", lambda: [POOL])
    with issues_noted(folder, certificates):
        certificates.ensure()
    with issues_noted(folder, certificates):
        assert certificates.ensure() == ()
    with pytest.raises(OSError, match="late"), issues_noted(folder, certificates):
        certificates.renew(days=40)
        raise OSError("late")
    with Journal.in_folder(folder) as journal:
        first, second = journal.runs()
        assert [one.data["name"] for one in first.events()] == ["ca", "pool"]
        assert (first.outcome, second.outcome) == ("done", "failed")
        (issued,) = second.events("certificates.issued")
        assert issued.data["until"] == certificates.list()[1].ends.isoformat()
