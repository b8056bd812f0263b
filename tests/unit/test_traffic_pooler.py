"""Where a pooler leads, whatever it calls the server."""

from __future__ import annotations

import pytest

from naru.traffic.pooler import PoolerFacts


def facts(host: str) -> PoolerFacts:
    return PoolerFacts("p", "app", ("transaction",), host, 5432, "app", 0, 0, 0, 0, False, False)


@pytest.mark.parametrize(
    ("host", "other", "leads"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "localhost", True),
        ("localhost", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.2", False),
        ("127.0.0.1", "nosuch.invalid", False),
        ("", "127.0.0.1", False),
    ],
)
def test_one_server_by_two_names_is_one(host: str, other: str, leads: bool) -> None:
    assert facts(host).leads_to(other, 5432, "app") is leads
    assert not facts(host).leads_to(other, 5433, "app")
    assert not facts(host).leads_to(other, 5432, "shop")
