"""The environment's own pool runs on a real ground, in front of a real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg import sql

from naru.ground import Loopback, open_ground
from naru.postgres import LocalServer, connect, fetch_value, generate_password, scram_secret
from naru.spec import Spec, TrafficSpec
from naru.system import Deadline
from naru.traffic import Pool
from tests.servers import free_port

pytestmark = pytest.mark.integration

ROLE = "naru_pool_app"


@pytest.fixture
def ground(server_folder: Path) -> Iterator[Loopback]:
    spec = Spec(traffic=TrafficSpec(port=free_port()))
    ground = open_ground(spec, server_folder / "pool-ground")
    try:
        ground.up()
        yield ground
    finally:
        ground.down(purge=True)


@pytest.fixture
def password(old_server: LocalServer) -> Iterator[str]:
    word = generate_password()
    role = sql.Identifier(ROLE)
    with connect(old_server.dsn(), purpose="test") as connection:
        connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(role))
        secret = sql.Literal(scram_secret(word))
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(role, secret))
    yield word
    with connect(old_server.dsn(), purpose="test") as connection:
        connection.execute(sql.SQL("DROP ROLE {}").format(role))


def test_the_pool_serves_and_keeps_its_target_across_a_restart(
    ground: Loopback, old_server: LocalServer, password: str
) -> None:
    pool = Pool(ground._spec, ground)
    pool.up(verify=False)
    assert pool.pooler.observe("creativity").where == (
        f"{ground.address('10.1.3.31')}:2866/creativity"
    )
    assert ROLE in pool.sync_users(old_server.dsn())
    pool.remember(ROLE, password)
    pool.pooler.pause("creativity", Deadline(5, "the pause"))
    pool.pooler.point("creativity", "127.0.0.1", old_server.port, "postgres")
    pool.pooler.resume("creativity")
    dsn = pool.dsn(ROLE, "creativity")
    assert "password" not in dsn.parameters
    with connect(dsn, purpose="test", prepare=False) as connection:
        assert fetch_value(connection, "SELECT current_user") == ROLE
    pool.up(verify=False)
    ground.restart(Pool.PROGRAM)
    pool.up(verify=False)
    with connect(dsn, purpose="test", prepare=False) as connection:
        assert fetch_value(connection, "SHOW port") == str(old_server.port)


def test_superusers_are_not_let_into_the_pool(ground: Loopback, old_server: LocalServer) -> None:
    pool = Pool(ground._spec, ground)
    pool.up()
    assert old_server.superuser not in pool.sync_users(old_server.dsn())
