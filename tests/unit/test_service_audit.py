"""What of a server's log says who did what."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from naru.service.audit import audited, read_audit, settings_for


def line(message: str, **more: Any) -> str:
    entry = {
        "timestamp": "2026-11-23 12:00:00.000 KST", "user": "cedbadmin", "dbname": "cedb",
        "remote_host": "127.1.3.32", "message": message, **more,
    }  # fmt: skip
    return json.dumps(entry)


@pytest.mark.parametrize(
    "message",
    [
        "statement: CREATE TABLE t (id int)",
        "statement:  drop table t;",
        "execute <unnamed>: ALTER ROLE x CREATEDB",
        "execute s1: GRANT SELECT ON t TO x",
        "connection authorized: user=cedbadmin database=cedb",
        "disconnection: session time: 0:00:00.1 user=cedbadmin",
        "AUDIT: SESSION,1,1,WRITE,INSERT,TABLE,public.t,insert into t values (1),<not logged>",
    ],
)
def test_connections_and_definitions_are_audited(message: str) -> None:
    found = audited("cedbserver1", line(message))
    assert found is not None
    assert (found.user, found.database, found.client) == ("cedbadmin", "cedb", "127.1.3.32")
    assert found.member == "cedbserver1"
    assert found.what == " ".join(message.split())


@pytest.mark.parametrize(
    "text",
    [
        line("checkpoint starting: time"),
        line("statement: SELECT 1"),
        line('relation "create" does not exist'),
        line("connection authorized: user=naru_replication", user="naru_replication"),
        '{"timestamp": "2026-11-23 12:00',
        "",
    ],
)
def test_everything_else_is_passed_over(text: str) -> None:
    assert audited("cedbserver1", text) is None


def test_a_long_statement_is_cut() -> None:
    found = audited("m", line("statement: CREATE VIEW v AS SELECT " + "1, " * 500))
    assert found is not None
    assert len(found.what) == 300


def test_lines_of_all_members_are_told_in_the_order_of_time(tmp_path: Path) -> None:
    for member, times in {"a": ("01", "03"), "b": ("02", "04")}.items():
        (tmp_path / member).mkdir()
        texts = [line(f"statement: DROP TABLE t{at}", timestamp=f"12:00:{at}") for at in times]
        (tmp_path / member / "postgresql-Mon.json").write_text("\n".join([*texts, '{"cut']))
    folders = [(name, tmp_path / name) for name in ("a", "b")]
    assert [one.at[-2:] for one in read_audit(folders)] == ["01", "02", "03", "04"]
    assert [one.at[-2:] for one in read_audit(folders, last=2)] == ["03", "04"]


def test_without_pgaudit_it_is_postgresqls_own_log_and_json_where_there_is_json() -> None:
    assert settings_for("log", 17)["log_statement"] == "ddl"
    assert settings_for("log", 17)["log_destination"] == "stderr,jsonlog"
    assert settings_for("log", 14)["log_destination"] == "stderr,csvlog"
    assert settings_for("pgaudit", 15)["shared_preload_libraries"] == "pgaudit"
    assert "log_statement" not in settings_for("pgaudit", 15)
