"""A service audited by pgaudit: who changed which rows, beyond what PostgreSQL logs by itself."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from naru.errors import NaruError
from naru.lab.environment import Environment
from naru.postgres import connect, fetch_value, find_installations, has_extension
from naru.service import AuditLine, audited_by, read_audit
from naru.spec import Spec
from naru.system import wait_until

pytestmark = pytest.mark.integration

_DONE = (
    "CREATE TABLE paid (id int PRIMARY KEY, amount int)",
    "INSERT INTO paid VALUES (1, 100)",
    "UPDATE paid SET amount = 200 WHERE id = 1",
    "SELECT amount FROM paid",
    "CREATE ROLE clerk PASSWORD 'not-For-The-Log-1'",
    "DELETE FROM paid",
)


def audited_major() -> int:
    """The newest PostgreSQL of this machine that has pgaudit."""
    found = [one.major for one in find_installations() if has_extension(one, "pgaudit")]
    if not found:
        pytest.skip("no PostgreSQL here has pgaudit: apt-get install postgresql-15-pgaudit")
    return found[-1]


@pytest.fixture(scope="module")
def environment(server_folder: Path) -> Iterator[Environment]:
    service = {"members": 2, "version": str(audited_major()), "audit": True}
    environment = Environment(Spec.model_validate({"service": service}), server_folder / "audit")
    try:
        environment.ground.up()
        environment.service.up()
        yield environment
    finally:
        with contextlib.suppress(NaruError):
            environment.down()
        environment.ground.down(purge=True)


def audited(environment: Environment) -> list[AuditLine]:
    nodes = environment.service.layout.nodes
    found = read_audit((node.name, node.logs) for node in nodes)
    return [one for one in found if one.what.startswith("AUDIT: ")]


def test_each_change_is_audited_with_who_made_it_and_what_it_touched(
    environment: Environment,
) -> None:
    service, user = environment.service, environment.spec.service.user
    with connect(service.writer(), purpose="test") as connection:
        connection.execute(f"GRANT CREATE ON SCHEMA public TO {user}")
        connection.execute(f"ALTER ROLE {user} CREATEROLE")
    with connect(service.writer().with_(user=user), purpose="test") as connection:
        assert fetch_value(connection, "SHOW pgaudit.log") == "ddl, role, write"
        for statement in _DONE:
            connection.execute(statement.encode())

    def mine() -> list[AuditLine]:
        return [one for one in audited(environment) if one.user == user]

    wait_until(lambda: any(",DELETE," in one.what for one in mine()), "the last line", 30)
    told = [one.what.split(",")[3:7] for one in mine()]
    wanted = [
        # Its object's name needs pgaudit's event triggers; the statement is there without.
        ["DDL", "CREATE TABLE", "", ""],
        ["WRITE", "INSERT", "TABLE", "public.paid"],
        ["WRITE", "UPDATE", "TABLE", "public.paid"],
        ["WRITE", "DELETE", "TABLE", "public.paid"],
    ]
    assert [one for one in told if one in wanted] == wanted
    assert any(one[:2] == ["ROLE", "CREATE ROLE"] for one in told)
    assert not any(one[1] == "SELECT" for one in told)
    assert not any("not-For-The-Log" in one.what for one in mine())
    primary = service.primary().name
    assert {(one.member, one.database) for one in mine()} == {
        (primary, environment.spec.service.database)
    }


def test_the_status_says_that_rows_are_audited_and_the_plan_is_empty(
    environment: Environment,
) -> None:
    said = audited_by(environment.spec, environment.service.installation)
    assert "pgaudit: connections, definitions, roles and changed rows" in said
    changes = [one.key for one in environment.plan().changes]
    assert "shared_preload_libraries" not in changes


def test_a_library_that_is_not_installed_is_refused_before_any_member_is_restarted(
    environment: Environment,
) -> None:
    settings = {"shared_preload_libraries": "nosuch"}
    tables = environment.spec.model_dump(exclude={"service": {"password"}})
    tables["service"] |= {"settings": settings}
    other = Environment(Spec.model_validate(tables), environment.ground.folder)
    (refused,) = other.plan().refused
    assert (refused.key, refused.wrong) == ("shared_preload_libraries", True)
    assert "no library nosuch is installed" in str(refused.refused)
