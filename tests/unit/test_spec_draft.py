"""What `naru init` writes can be read back, and says what it means."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest

from naru.errors import SpecError, UsageError
from naru.spec import Spec, load
from naru.spec.draft import ASKED, declare, declare_all, questions, render, write_spec


def _written(folder: Path, settings: dict[str, str]) -> Spec:
    path = folder / "naru.toml"
    write_spec(path, declare_all(settings))
    return load(path)


def test_a_file_with_nothing_set_is_the_lab(tmp_path: Path) -> None:
    assert _written(tmp_path, {}) == Spec()


def test_the_commented_lines_are_the_defaults(tmp_path: Path) -> None:
    text = re.sub(r"^# (\w+ = )", r"\1", render({}), flags=re.MULTILINE)
    text = text.replace('password = "…"\n', "").replace("work_mem = '64MB'\n", "")
    assert text.count("\n[") == len(Spec.model_fields) - 1, "groups have names of their own"
    path = tmp_path / "naru.toml"
    path.write_text(text)
    assert load(path) == Spec()


def test_every_key_stands_in_the_file() -> None:
    text = render({})
    for table, field in Spec.model_fields.items():
        if table == "parameter_group":
            continue
        section = text.partition(f"\n[{table}]\n")[2].partition("\n[")[0]
        for name in type(field.default).model_fields:
            assert f"\n# {name} = " in section


def test_what_is_set_is_written_and_comes_back(tmp_path: Path) -> None:
    spec = _written(
        tmp_path,
        {
            "environment.name": "blue",
            "ground.postgres": "/opt/a/bin, /opt/b/bin",
            "source.version": "15",
            "source.scale": "0.1",
            "source.database": '한글 "db"',
            "service.members": "4",
            "service.etcd_members": "3",
            "service.settings.work_mem": "64MB",
            "service.settings.auto_explain.log_nested_statements": "on",
            "service.parameter_group": "reports",
            "parameter_group.reports.work_mem": "256MB",
        },
    )
    assert spec.parameter_group == {"reports": {"work_mem": "256MB"}}
    assert spec.environment.name == "blue"
    assert spec.ground.postgres == ("/opt/a/bin", "/opt/b/bin")
    assert (spec.source.version, spec.source.scale) == ("15", 0.1)
    assert spec.source.database == '한글 "db"'
    assert (spec.service.members, spec.service.etcd_members) == (4, 3)
    assert spec.service.settings == {
        "work_mem": "64MB",
        "auto_explain.log_nested_statements": "on",
    }


def test_only_what_differs_is_not_a_comment() -> None:
    text = render(declare_all({"service.members": "4", "service.port": "2866"}))
    plain = [line for line in text.splitlines() if line and line[0] not in "#["]
    assert plain == ["members = 4"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"service.members": "nine"}, 'service.members: "nine" is not allowed'),
        ({"service.membrs": "3"}, "service.membrs: is not known; did you mean members?"),
        ({"servise.members": "3"}, "servise: is not known; did you mean service?"),
        ({"members": "3"}, "members"),
        ({"service": "3"}, "service"),
        ({"service.cluster_name": "a1", "service.members": "1"}, "service.cluster_name"),
        ({"service.settings.port": "1"}, "service.settings"),
    ],
)
def test_a_wrong_setting_is_refused(settings: dict[str, str], words: str) -> None:
    with pytest.raises(SpecError, match=re.escape(words)):
        declare_all(settings)


def test_a_file_that_exists_is_kept_unless_forced(tmp_path: Path) -> None:
    path = tmp_path / "naru.toml"
    path.write_text("# mine\n")
    with pytest.raises(UsageError, match="exists already"):
        write_spec(path, {})
    assert path.read_text() == "# mine\n"
    write_spec(path, {}, force=True)
    assert path.read_text() != "# mine\n"


def test_a_file_with_a_password_is_private_and_others_are_not(tmp_path: Path) -> None:
    secret, plain = tmp_path / "secret.toml", tmp_path / "plain.toml"
    write_spec(secret, declare_all({"service.password": "ceadmin123!"}))
    write_spec(plain, {})
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert stat.S_IMODE(plain.stat().st_mode) == 0o644
    password = load(secret).service.password
    assert password is not None
    assert password.get_secret_value() == "ceadmin123!"
    assert "ceadmin" not in plain.read_text()


def test_every_question_is_of_a_key_that_exists_and_its_default_is_a_good_answer() -> None:
    asked = list(questions())
    assert [question.key for question in asked] == list(ASKED)
    for question in asked:
        assert question.meaning
        assert question.allowed
        if question.default is not None:
            assert declare({}, question.key, question.default) == []


def test_the_password_is_asked_for_in_secret() -> None:
    assert [question.key for question in questions() if question.secret] == ["service.password"]
