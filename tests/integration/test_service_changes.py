"""One environment whose spec changes step by step: only the difference is applied."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from naru.drill import Stage, workload_on
from naru.errors import NaruError, RefusedError, SpecError
from naru.ground.processes import processes_of
from naru.lab.environment import Environment
from naru.postgres import Dsn, connect, fetch_value
from naru.service import AppliedFile, read_audit
from naru.service.restart import settled
from naru.spec import Spec
from naru.system import wait_until

pytestmark = pytest.mark.integration

PASSWORD = "another-Word-1"
_FILL = """INSERT INTO filler SELECT g, repeat(md5(g::text), 31) FROM generate_series(1, %s) g"""


class Steps:
    """The environment, with the spec as it is after each step."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tables: dict[str, Any] = {"service": {"members": 2}}

    def with_(self, **tables: Any) -> Environment:
        """As it would be with these keys too; nothing is done yet."""
        merged = {name: {**self.tables.get(name, {}), **keys} for name, keys in tables.items()}
        return Environment(Spec.model_validate({**self.tables, **merged}), self.folder)

    def apply(self, *, now: bool = False, **tables: Any) -> Environment:
        """Change these keys, and bring them into force."""
        environment = self.with_(**tables)
        environment.up(now=now)
        merged = {name: {**self.tables.get(name, {}), **keys} for name, keys in tables.items()}
        self.tables |= merged
        return environment

    @property
    def now(self) -> Environment:
        return self.with_()


@pytest.fixture(scope="module")
def steps(server_folder: Path) -> Iterator[Steps]:
    steps = Steps(server_folder / "changes")
    try:
        steps.apply()
        yield steps
    finally:
        with contextlib.suppress(NaruError):
            steps.now.down()
        left = processes_of(steps.now.ground.folder)
        steps.now.ground.down(purge=True)
    assert left == []


def shown(environment: Environment, name: str) -> set[str]:
    """What every member shows for a setting."""
    found = set()
    for member in environment.service.members():
        with connect(environment.service.member(member.name, "postgres"), purpose="test") as one:
            found.add(str(fetch_value(one, f"SHOW {name}")))
    return found


def postmasters(environment: Environment) -> set[int | None]:
    return {one.pid for one in environment.service.members()}


def client(environment: Environment) -> Dsn:
    service = environment.spec.service
    environment.pool.remember(service.user, environment.service.password)
    return environment.pool.dsn(service.user, service.database)


def run(dsn: Dsn, *statements: str) -> None:
    with connect(dsn, purpose="test", prepare=False) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def test_the_same_spec_again_plans_nothing(steps: Steps) -> None:
    plan = steps.now.plan()
    assert plan.changes == ()
    assert plan.waiting == ()


def test_a_wrong_value_is_refused_before_anything_is_touched(steps: Steps) -> None:
    before = AppliedFile(steps.now.ground).read()
    wrong = {"work_mem": "lots", "nosuch_setting": "1", "jit": "off"}
    with pytest.raises(SpecError) as refused:
        steps.with_(service={"settings": wrong}).up()
    assert 'invalid value for parameter "work_mem": "lots"' in refused.value.message
    assert 'unrecognized configuration parameter "nosuch_setting"' in refused.value.message
    with pytest.raises(RefusedError, match=r"service.encoding: UTF8 → EUC_KR: fixed"):
        steps.with_(service={"encoding": "EUC_KR"}).up()
    assert AppliedFile(steps.now.ground).read() == before
    assert shown(steps.now, "jit") == {"on"}


def test_settings_that_need_no_restart_and_a_password_are_in_force_at_once(steps: Steps) -> None:
    before = postmasters(steps.now)
    service = {"audit": True, "parameter_group": "reports", "password": PASSWORD}
    groups = {"reports": {"work_mem": "7MB", "log_min_duration_statement": "250ms"}}
    planned = steps.with_(service=service, parameter_group=groups).plan()
    assert planned.restarts == ()
    assert {"work_mem", "service.password", "log_statement"} <= {o.key for o in planned.changes}
    environment = steps.apply(service=service, parameter_group=groups)
    wait_until(lambda: shown(environment, "work_mem") == {"7MB"}, "the setting everywhere", 30)
    assert postmasters(environment) == before
    assert environment.plan().changes == ()
    with connect(client(environment).with_(password=PASSWORD), purpose="test", prepare=False):
        pass


def test_the_audit_says_who_did_what(steps: Steps) -> None:
    environment = steps.now
    run(client(environment), "CREATE TABLE audited (id int)", "INSERT INTO audited VALUES (1)")

    def seen() -> bool:
        nodes = environment.service.layout.nodes
        lines = read_audit((node.name, node.logs) for node in nodes)
        return any(
            "CREATE TABLE audited" in one.what and one.user == environment.spec.service.user
            and one.database == environment.spec.service.database for one in lines
        )  # fmt: skip

    wait_until(seen, "the line of the audit", 30)


def open_now(environment: Environment) -> None:
    """Let the program of the window think that it is open all day."""
    today = f"{datetime.now(UTC):%a}".upper()
    maintenance = {"enabled": True, "day": today, "start": "00:00", "hours": 24}
    tables = environment.spec.model_dump(exclude={"service": {"password"}})
    tables |= {"maintenance": maintenance, "service": {**tables["service"], "timezone": "UTC"}}
    path = environment.ground.folder / "conf" / "spec.json"
    path.write_text(Spec.model_validate(tables).model_dump_json(exclude={"service": {"password"}}))
    environment.ground.restart("maintenance")


def nothing_waits(environment: Environment) -> bool:
    applied = AppliedFile(environment.ground).read()
    return applied is not None and applied.waiting == ()


def test_a_restart_waits_for_its_window_and_then_no_client_notices(steps: Steps) -> None:
    """Under load, by the program that looks after the window: none of the clients gets an error."""
    tomorrow = datetime.now(UTC) + timedelta(days=2)
    window = {"enabled": True, "day": f"{tomorrow:%a}".upper()}
    before = postmasters(steps.now)
    environment = steps.apply(service={"settings": {"max_connections": "320"}}, maintenance=window)
    assert postmasters(environment) == before
    wait_until(lambda: environment.plan().waiting == ("max_connections",), "the restart due", 30)
    wait_until(lambda: settled(environment.service.status()), "every member to follow", 60)
    stage = Stage(environment.spec, environment.ground, environment.service, environment.pool)
    with workload_on(stage, "settings") as workload:
        open_now(environment)
        wait_until(lambda: environment.plan().waiting == (), "the restarts in the window", 180)
        wait_until(lambda: nothing_waits(environment), "the end of the restarts", 60)
    status = workload.status
    assert (status.failed, status.unknown, status.reasons) == (0, 0, {})
    assert status.acknowledged > 100
    assert shown(environment, "max_connections") == {"320"}
    assert not postmasters(environment) & before
    assert environment.plan().waiting == ()


def refuses(dsn: Dsn) -> bool:
    """Write a bit; true once the service refuses that."""
    with contextlib.suppress(NaruError):
        with connect(dsn, purpose="test", prepare=False) as connection:
            try:
                connection.execute(_FILL, [4000])
            except psycopg.errors.ReadOnlySqlTransaction:
                return True
    return False


def takes(dsn: Dsn) -> bool:
    with contextlib.suppress(NaruError, psycopg.errors.ReadOnlySqlTransaction):
        run(dsn, "INSERT INTO audited VALUES (2)")
        return True
    return False


def test_before_the_data_are_full_clients_can_only_read_until_there_is_room(steps: Steps) -> None:
    environment = steps.now
    dsn = client(environment)
    run(dsn, "CREATE TABLE filler (id int, pad text)", "CREATE TABLE more AS SELECT 1 AS id")
    with connect(dsn, purpose="test", prepare=False) as connection:
        connection.execute(_FILL, [120_000])
    writer = environment.service.writer()
    run(writer, "CHECKPOINT")

    def held() -> int:
        found = environment.service.storage()
        return max(found.used.values()) if found else 0

    wait_until(lambda: held() > 150 * 2**20, "the guard to see it", 60)
    with pytest.raises(RefusedError, match="a member holds"):
        steps.with_(service={"data_gb": 0.1}).up()
    environment = steps.apply(service={"data_gb": round(held() / 0.88 / 2**30, 3)}, now=True)
    wait_until(lambda: refuses(dsn), "clients to be refused", 120, every=0.3)
    found = environment.service.storage()
    wait_until(
        lambda: (found := environment.service.storage()) is not None and found.read_only,
        "the guard to say so", 30,
    )  # fmt: skip
    assert found is not None
    with connect(dsn, purpose="test", prepare=False) as connection:
        assert fetch_value(connection, "SELECT count(*) FROM more") == 1
    environment.up(now=True)
    assert refuses(dsn), "up leaves what the guard has set"
    # An operator makes room: as the owner by asking for it, or as the superuser.
    run(dsn, "BEGIN READ WRITE; DROP TABLE more; COMMIT")
    run(writer, "DROP TABLE filler", "CHECKPOINT")

    def has_room() -> bool:
        # A standby gives WAL back at its own checkpoints; reads go to one after the other.
        run(environment.service.reader(), "CHECKPOINT")
        return takes(dsn)

    wait_until(has_room, "clients to write again", 120, every=1.0)
    now = environment.service.storage()
    assert now is not None
    assert not now.read_only
