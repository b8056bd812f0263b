"""The doctor's judgement, from facts alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from naru.ground.doctor import (
    LEAST_DISK,
    OPTIONAL,
    REQUIRED,
    Diagnosis,
    Finding,
    MachineFacts,
    ProgramFacts,
    diagnose,
    observe,
)
from naru.postgres import Installation
from naru.system import Account

HEALTHY = MachineFacts(
    installations=(
        Installation((15, 18), Path("/usr/lib/postgresql/15/bin"), "distribution"),
        Installation((17, 10), Path("/venv/bin"), "wheel"),
    ),
    programs=tuple(
        ProgramFacts(name, Path("/usr/bin") / name, "1.0") for name in (*REQUIRED, "chromium")
    ),
    python="3.11.2",
    interpreter=Path("/venv/bin/python"),
    account=Account("postgres", 105, 110),
    reaches_interpreter=True,
    state=Path("/var/lib/naru/lab"),
    reaches_state=True,
    memory_free=8_000_000_000,
    disk_free=50_000_000_000,
    shared_free=1_000_000_000,
    open_files=20_000,
    loopback=True,
)


def _without(*names: str) -> MachineFacts:
    return replace(
        HEALTHY,
        programs=tuple(
            ProgramFacts(one.name, None, None) if one.name in names else one
            for one in HEALTHY.programs
        ),
    )


def _finding(diagnosis: Diagnosis, name: str, state: str) -> Finding:
    found = [one for one in diagnosis.findings if (one.name, one.state) == (name, state)]
    assert len(found) == 1, diagnosis.findings
    return found[0]


def test_a_machine_with_everything_is_well() -> None:
    diagnosis = diagnose(HEALTHY)
    assert diagnosis.well
    assert diagnosis.command is None
    assert {finding.state for finding in diagnosis.findings} == {"ok"}


def test_what_is_missing_is_named_with_one_command_that_gets_it_all() -> None:
    diagnosis = diagnose(_without("etcd", "pgbouncer"))
    assert not diagnosis.well
    assert diagnosis.packages == ("etcd-server", "pgbouncer")
    assert diagnosis.command == "apt-get install --no-install-recommends etcd-server pgbouncer"
    assert _finding(diagnosis, "etcd", "missing").remedy == "apt-get install etcd-server"


def test_a_python_package_is_not_looked_for_among_debians() -> None:
    diagnosis = diagnose(_without("patroni"))
    assert not diagnosis.well
    assert diagnosis.packages == ()
    assert _finding(diagnosis, "patroni", "missing").remedy == "pip install 'pgnaru[lab]'"


def test_a_browser_is_optional() -> None:
    diagnosis = diagnose(_without("chromium"))
    assert diagnosis.well
    assert diagnosis.packages == ()
    assert _finding(diagnosis, "chromium", "optional")


def test_no_postgresql_at_all_is_missing() -> None:
    diagnosis = diagnose(replace(HEALTHY, installations=()))
    assert not diagnosis.well
    assert diagnosis.packages == ("postgresql",)


def test_one_major_version_is_a_warning() -> None:
    diagnosis = diagnose(replace(HEALTHY, installations=HEALTHY.installations[:1]))
    assert diagnosis.well
    assert "one major version" in _finding(diagnosis, "postgres", "warning").found


def test_root_without_an_account_for_servers_is_told_to_make_one() -> None:
    diagnosis = diagnose(replace(HEALTHY, account=None))
    assert not diagnosis.well
    assert "adduser" in str(_finding(diagnosis, "account", "missing").remedy)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"reaches_interpreter": False}, "interpreter"),
        ({"reaches_state": False}, "state"),
        ({"loopback": False}, "loopback"),
    ],
)
def test_what_keeps_servers_from_running_is_missing(change: dict[str, bool], name: str) -> None:
    diagnosis = diagnose(replace(HEALTHY, **change))  # type: ignore[arg-type]
    assert not diagnosis.well
    assert _finding(diagnosis, name, "missing").remedy


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"memory_free": 10}, "memory"),
        ({"disk_free": LEAST_DISK - 1}, "disk"),
        ({"shared_free": 0}, "shared memory"),
        ({"open_files": 256}, "open files"),
    ],
)
def test_little_room_is_a_warning(change: dict[str, int], name: str) -> None:
    diagnosis = diagnose(replace(HEALTHY, **change))  # type: ignore[arg-type]
    assert diagnosis.well
    assert _finding(diagnosis, name, "warning").remedy


def test_exactly_enough_is_enough_and_unlimited_files_too() -> None:
    diagnosis = diagnose(replace(HEALTHY, disk_free=LEAST_DISK, open_files=-1))
    assert {finding.state for finding in diagnosis.findings} == {"ok"}
    assert _finding(diagnosis, "open files", "ok").found == "unlimited"


def test_the_document_holds_what_was_found() -> None:
    document = json.loads(json.dumps(diagnose(_without("haproxy")).to_json()))
    assert document["well"] is False
    assert document["packages"] == ["haproxy"]
    assert {"name", "state", "found", "remedy"} == set(document["findings"][0])


def test_looking_at_this_machine_makes_nothing(tmp_path: Path) -> None:
    state = tmp_path / "not" / "there"
    facts = observe("postgres", state)
    assert not state.parent.exists()
    assert facts.python.startswith("3.")
    assert {program.name for program in facts.programs} == {*REQUIRED, *OPTIONAL}
    assert facts.disk_free > 0
    assert facts.memory_free > 0
    assert facts.loopback
