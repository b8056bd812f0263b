"""One entry of an ini file changes; every other byte stays."""

from __future__ import annotations

import pytest

from naru.errors import RefusedError, UsageError
from naru.traffic import PoolerFacts, must_be_pausable
from naru.traffic.inifile import entries, includes, pointed

FILE = """\
;; our pools
[databases]
; the shop
shop = host=old.example port=5432 pool_size=30 ; not a comment
shop-archive=host=old.example
forced =  host='old host'  port = 1 user=app password='it''s' dbname=real
#shop = host=ghost
* = host=old.example auth_user=lookup

[pgbouncer]
shop = not an entry
listen_port = 6432
"""


def _changes(before: str, after: str) -> list[tuple[str, str]]:
    pairs = zip(before.splitlines(), after.splitlines(), strict=True)
    return [(old, new) for old, new in pairs if old != new]


def test_an_entry_is_changed_in_place_and_nothing_else() -> None:
    after = pointed(FILE, "shop", host="10.0.0.2", port=2866)
    assert _changes(FILE, after) == [
        (
            "shop = host=old.example port=5432 pool_size=30 ; not a comment",
            "shop = host=10.0.0.2 port=2866 pool_size=30 ; not a comment",
        )
    ]


def test_what_an_entry_lacks_is_appended() -> None:
    after = pointed(FILE, "shop-archive", host="h", port=1, dbname="other")
    assert "\nshop-archive=host=h port=1 dbname=other\n" in after


def test_quoted_values_and_spaces_around_the_sign_are_understood() -> None:
    after = pointed(FILE, "forced", host="a b's", port=2)
    assert "forced =  host='a b''s'  port = 2 user=app password='it''s' dbname=real\n" in after


def test_the_name_behind_is_kept_unless_given() -> None:
    assert "dbname=real\n" in pointed(FILE, "forced", host="h", port=1)
    assert "dbname=forced\n" in pointed(FILE, "forced", host="h", port=1, dbname="forced")
    assert "dbname" not in pointed(FILE, "shop", host="h", port=1, dbname="shop").split("\n")[3]


def test_the_star_gives_a_database_an_entry_of_its_own() -> None:
    after = pointed(FILE, "crm", host="new", port=5)
    star = "* = host=old.example auth_user=lookup\n"
    assert after == FILE.replace(star, star + "crm = host=new auth_user=lookup port=5\n")


def test_the_star_on_a_last_line_without_an_ending() -> None:
    text = "[databases]\n* = host=a"
    assert pointed(text, "b", host="c", port=1) == "[databases]\n* = host=a\nb = host=c port=1\n"


def test_line_endings_and_foreign_bytes_stay() -> None:
    text = b"[databases]\r\n; caf\xe9 \x0c\r\na = host=x\r\n".decode("utf-8", "surrogateescape")
    after = pointed(text, "a", host="y", port=1).encode("utf-8", "surrogateescape")
    assert after == b"[databases]\r\n; caf\xe9 \x0c\r\na = host=y port=1\r\n"


def test_an_empty_host_is_a_local_socket() -> None:
    assert pointed("[databases]\na = host=x port=1\n", "a", host="", port=2) == (
        "[databases]\na =  port=2\n"
    )


def test_of_two_entries_the_later_counts() -> None:
    text = "[databases]\na = host=x\na = host=y\n"
    assert pointed(text, "a", host="z", port=1).splitlines()[1:] == [
        "a = host=x",
        "a = host=z port=1",
    ]


def test_pointing_there_and_back_gives_the_same_file() -> None:
    there = pointed(FILE, "shop", host="new", port=1)
    assert pointed(there, "shop", host="old.example", port=5432) == FILE


def test_pointing_twice_changes_nothing_more() -> None:
    once = pointed(FILE, "crm", host="new", port=1, dbname="x")
    assert pointed(once, "crm", host="new", port=1, dbname="x") == once


def test_no_entry_is_an_error() -> None:
    with pytest.raises(UsageError, match="crm"):
        pointed("[databases]\nshop = host=a\n", "crm", host="b", port=1)


def test_entries_and_includes_are_listed() -> None:
    assert [entry.name for entry in entries(FILE)] == ["shop", "shop-archive", "forced", "*"]
    assert includes("%include /etc/more.ini\n[databases]\n") == ["/etc/more.ini"]


def _facts(*modes: str, disabled: bool = False) -> PoolerFacts:
    return PoolerFacts("p:1", "d", modes, "h", 1, "d", 0, 0, 0, 0, False, disabled)


def test_only_transaction_pooling_may_pause() -> None:
    must_be_pausable(_facts("transaction"))
    for modes in (("session",), ("statement",), ("session", "transaction")):
        with pytest.raises(RefusedError, match=modes[0]):
            must_be_pausable(_facts(*modes))


def test_a_disabled_database_may_not_pause() -> None:
    with pytest.raises(RefusedError, match="disabled"):
        must_be_pausable(_facts("transaction", disabled=True))
