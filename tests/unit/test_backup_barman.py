"""Barman does one thing at a time on a server; a full backup by hand serves the schedule, too."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from naru.backup import barman
from naru.backup.barman import Barman
from naru.backup.keeping import Keeping
from naru.backup.store import store_of
from naru.errors import ProcessError, RefusedError
from naru.ground import open_ground
from naru.service import Service
from naru.spec import Spec

_FAKE = """#!/bin/sh
echo "$@" >> {folder}/asked
[ $(wc -l < {folder}/asked) -gt {busy} ] && exit {code}
echo "ERROR: Another process in running on server cedbcluster. Impossible to delete the backup."
exit 1
"""


def barman_busy_for(
    calls: int, folder: Path, monkeypatch: pytest.MonkeyPatch, *, code: int = 0
) -> Barman:
    """One that is at work while it is asked `calls` times, and ends with `code` then."""
    program = folder / "barman"
    program.write_text(_FAKE.format(folder=folder, busy=calls, code=code))
    program.chmod(0o755)
    folder.chmod(0o777)
    monkeypatch.setattr(barman, "need_program", lambda name: program)
    ground = open_ground(Spec(), folder)
    monkeypatch.setattr(ground, "account", None)
    store = store_of(Spec(), ground)
    store.home.mkdir(parents=True)
    return Barman(store, ground)


def test_a_deletion_waits_for_a_backup_that_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    barman_busy_for(2, tmp_path, monkeypatch).delete("20261123T095351")
    asked = (tmp_path / "asked").read_text().splitlines()
    assert len(asked) == 3
    assert asked[-1].endswith("delete cedbcluster 20261123T095351")


def test_a_backup_that_takes_long_is_named_instead_of_barmans_own_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(barman, "_TURN", 0.0)
    busy = barman_busy_for(99, tmp_path, monkeypatch)
    with pytest.raises(RefusedError, match="20261123T095351 is not deleted: another backup"):
        busy.delete("20261123T095351")


def test_any_other_failure_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ProcessError, match="ended with code 3"):
        barman_busy_for(0, tmp_path, monkeypatch, code=3).delete("x")


def test_a_full_backup_by_hand_is_what_the_schedule_was_asked_for_before_it(tmp_path: Path) -> None:
    ground = open_ground(Spec(), tmp_path)
    store = store_of(Spec(), ground)
    keeping = Keeping(Spec(), ground, Service(Spec(), ground), store)
    store.state.mkdir(parents=True)
    notes = store.state / "schedule.json"
    notes.write_text(json.dumps({"failed": 1000.0, "trouble": "no"}))
    keeping.wanted_file.touch()
    os.utime(keeping.wanted_file, (1000.0, 1000.0))
    keeping.full_taken(900.0)
    assert keeping.wanted_file.exists()
    assert keeping.notes()["trouble"] == "no"
    keeping.full_taken(1100.0)
    assert not keeping.wanted_file.exists()
    assert keeping.notes() == {"failed": None, "trouble": None}
