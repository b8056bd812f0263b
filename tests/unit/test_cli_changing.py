"""What people see of a plan, and when they are asked."""

from __future__ import annotations

import pytest

from naru.cli.changing import asks, show_plan, when_restarts
from naru.service import ChangePlan, PlannedChange, Window

NONE = PlannedChange("maintenance.day", "SUN", "MON", "none")
RELOAD = PlannedChange("work_mem", "4MB", "8MB", "reload", "service.settings")
RESTART = PlannedChange("max_connections", "300", "400", "restart", "parameter_group a")
REFUSED = PlannedChange("service.encoding", "UTF8", "EUC_KR", "fixed", refused="fixed; a way")
DAILY = Window("SUN", "00:00", 24, "UTC")


def test_each_change_is_told_with_old_and_new_value_effect_and_source(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_plan(ChangePlan((RELOAD, RESTART)), None, now=False)
    shown = capsys.readouterr()
    assert shown.out == ""
    lines = shown.err.splitlines()
    assert lines[0] == "work_mem         4MB → 8MB  (at once, given by service.settings)"
    assert "300 → 400" in lines[1]
    assert lines[2] == "restart, one by one, for: max_connections"
    assert "members are restarted now" in lines[3]


def test_a_refusal_is_told_with_its_way_and_no_restart_is_announced(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_plan(ChangePlan((REFUSED, RESTART)), None, now=False)
    told = capsys.readouterr().err
    assert "UTF8 → EUC_KR  (REFUSED)" in told
    assert "refused: service.encoding: fixed; a way" in told
    assert "members are restarted" not in told.splitlines()[-1]


def test_nothing_is_said_where_nothing_changes(capsys: pytest.CaptureFixture[str]) -> None:
    show_plan(ChangePlan(), None, now=False)
    assert capsys.readouterr().err == ""


def test_people_are_asked_when_something_that_runs_changes() -> None:
    assert not asks(ChangePlan())
    assert not asks(ChangePlan((NONE,)))
    assert not asks(ChangePlan((PlannedChange("service.members", "a, b", "a", "members"),)))
    assert asks(ChangePlan((RELOAD,)))
    assert asks(ChangePlan((), ("max_connections",)))


def test_it_is_said_when_members_are_restarted() -> None:
    tuesday = Window("TUE", "03:00", 1, "UTC")
    told = {when_restarts(window, now=False) for window in (DAILY, tuesday)}
    assert any("UTC" in one for one in told)
    assert "as --now says" in when_restarts(tuesday, now=True)
    assert "none fails" in when_restarts(None, now=False)
