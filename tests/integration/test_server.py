"""A server of ours starts, takes connections with SCRAM, says no clearly, and stops."""

from __future__ import annotations

import pytest

from naru.errors import NotPermittedError, UnreachableError
from naru.postgres import Dsn, LocalServer, connect, fetch_value
from tests.servers import free_port

pytestmark = pytest.mark.integration


def test_a_server_takes_connections(old_server: LocalServer) -> None:
    with connect(old_server.dsn(), purpose="test") as connection:
        assert fetch_value(connection, "SHOW wal_level") == "logical"
        assert fetch_value(connection, "SHOW application_name") == "naru: test"


def test_a_wrong_password_is_not_permitted(old_server: LocalServer) -> None:
    wrong = old_server.dsn().with_(password="wrong-1-word")
    with pytest.raises(NotPermittedError, match="password") as caught:
        connect(wrong, purpose="test")
    assert "wrong-1-word" not in str(caught.value)


def test_a_missing_database_is_named(old_server: LocalServer) -> None:
    with pytest.raises(NotPermittedError, match="nowhere"):
        connect(old_server.dsn("nowhere"), purpose="test")


def test_a_port_where_nobody_listens_is_unreachable() -> None:
    nobody = Dsn.of("127.0.0.1", free_port(), "postgres", "postgres")
    with pytest.raises(UnreachableError, match="cannot reach"):
        connect(nobody, purpose="test")
