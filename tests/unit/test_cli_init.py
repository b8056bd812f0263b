"""`naru init` and `naru doctor` at the command line."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from naru.cli.main import app
from naru.errors import UsageError
from naru.spec import load


def _run(*words: str) -> tuple[int, str, BaseException | None]:
    result = CliRunner().invoke(app, list(words))
    return result.exit_code, result.stdout, result.exception


def test_init_without_a_terminal_writes_what_is_set_and_leaves_stdout_empty(
    tmp_path: Path,
) -> None:
    file = tmp_path / "naru.toml"
    code, out, _ = _run("init", "--spec", str(file), "--set", "service.members=4")
    assert (code, out) == (0, "")
    assert load(file).service.members == 4


def test_init_never_replaces_a_file_by_itself(tmp_path: Path) -> None:
    file = tmp_path / "naru.toml"
    file.write_text("# mine\n")
    _, _, error = _run("init", "--spec", str(file))
    assert isinstance(error, UsageError)
    assert file.read_text() == "# mine\n"
    assert _run("init", "--spec", str(file), "--force")[0] == 0
    assert file.read_text() != "# mine\n"


def test_init_takes_a_password_from_a_file_alone(tmp_path: Path) -> None:
    file, secret = tmp_path / "naru.toml", tmp_path / "secret"
    secret.write_text("ceadmin123!\n")
    _, _, error = _run("init", "--spec", str(file), "--set", "service.password=ceadmin123!")
    assert isinstance(error, UsageError)
    assert "ceadmin123!" not in str(error)
    assert _run("init", "--spec", str(file), "--password-file", str(secret))[0] == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_init_asks_again_after_a_wrong_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from naru.cli import init
    from naru.spec.draft import questions

    answers = {question.key: [question.default or ""] for question in questions()}
    answers["service.members"] = ["many", "9", "4"]
    monkeypatch.setattr("typer.prompt", lambda key, **_: answers[key].pop(0))
    declared = init._interview()
    assert declared == {"service": {"members": 4}}
    assert answers["service.members"] == []


def test_a_setting_without_a_value_is_wrong_use(tmp_path: Path) -> None:
    _, _, error = _run("init", "--spec", str(tmp_path / "naru.toml"), "--set", "service.members")
    assert isinstance(error, UsageError)


def test_doctor_gives_one_json_document() -> None:
    code, out, _ = _run("doctor", "--json")
    document = json.loads(out)
    assert code == (0 if document["well"] else 1)
    assert {finding["name"] for finding in document["findings"]} >= {"python", "postgres", "etcd"}


def test_a_wrong_spec_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    file = tmp_path / "naru.toml"
    file.write_text("[service]\nmembers = 1\n")
    _, out, error = _run("doctor", "--spec", str(file))
    assert isinstance(error, UsageError)
    assert f"{file}:2: service.members" in str(error)
    assert out == ""
