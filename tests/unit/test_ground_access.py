"""Which address is let in, by which entry, wherever the lab lies."""

from __future__ import annotations

import pytest

from naru.errors import SpecError, UsageError
from naru.ground import OpenSession, admission, outside
from naru.ground.access import local_network, networks_of
from naru.ground.addresses import local_address
from naru.spec.draft import declare_all

HERE = "127.7.0.0/16"
ALLOWED = networks_of(("10.1.2.0/24", "10.1.1.110"), HERE)


def judged(address: str) -> tuple[bool, str | None]:
    found = admission(address, ALLOWED, lambda lab: local_address(lab, HERE))
    return found.allowed, found.by


@pytest.mark.parametrize(
    ("address", "by"),
    [
        ("10.1.2.121", "10.1.2.0/24"),
        ("127.7.2.121", "10.1.2.0/24"),
        ("10.1.1.110", "10.1.1.110"),
        ("10.1.1.111", None),
        ("127.9.9.9", None),
        ("10.2.2.121", None),
        ("127.0.0.1", "this machine"),
    ],
)
def test_an_address_is_let_in_by_the_entry_that_has_it(address: str, by: str | None) -> None:
    assert judged(address) == (by is not None, by)


def test_who_would_not_be_let_in_now_is_found_among_those_connected() -> None:
    came = [OpenSession("pool", one, 4000) for one in ("127.7.2.121", "127.7.1.111", "127.0.0.1")]
    assert [one.address for one in outside(came, ALLOWED)] == ["127.7.1.111"]


def test_what_is_no_address_is_refused_as_such() -> None:
    with pytest.raises(UsageError, match="not an IPv4 address"):
        judged("app1")


@pytest.mark.parametrize(
    ("declared", "here"),
    [
        ("10.1.0.0/16", "127.7.0.0/16"),
        ("10.1.2.0/24", "127.7.2.0/24"),
        ("10.1.1.110", "127.7.1.110/32"),
        ("10.0.0.0/8", "127.7.0.0/16"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("192.168.0.0/16", "192.168.0.0/16"),
    ],
)
def test_a_network_of_the_lab_lies_where_the_lab_lies(declared: str, here: str) -> None:
    assert local_network(declared, HERE) == here


@pytest.mark.parametrize("entries", ['["10.1.2.5/24"]', '["app"]', '["10.1.2.0/33"]'])
def test_what_is_no_network_is_refused_with_the_key(entries: str) -> None:
    with pytest.raises(SpecError, match=r"service\.allowed"):
        declare_all({"service.allowed": entries})
