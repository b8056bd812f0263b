"""What a migration calls its objects, and where the other server finds a side."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from naru.errors import UsageError
from naru.journal import Journal
from naru.migrate import SeenAt, begin_or_resume, resume
from naru.migrate.names import Names
from naru.migrate.sides import Side
from naru.postgres import Connection, Dsn

NAMES = ["shop", "shop_back", "shop_1", "Shop", "shop-1", "shop back", "샵", "店", "x" * 60]


def made_by(name: str) -> set[str]:
    names = Names(name)
    return {one(number) for number in range(1, 4) for one in (names.batch, names.after_switch)}


def test_no_two_migrations_share_a_name_of_a_slot_and_all_are_slot_names() -> None:
    made = [made_by(name) for name in NAMES]
    assert len(set.union(*made)) == sum(map(len, made))
    assert all(len(one) < 64 and set(one) <= set("abcdefghijklmnopqrstuvwxyz0123456789_")
               for one in set.union(*made))  # fmt: skip


@pytest.mark.parametrize("text", ["db.example", "db.example:", ":5432", "db:port", "db:0"])
def test_an_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="HOST:PORT"):
        Side.of("source", Dsn({"host": "h"}), text)


def test_an_address_of_ipv6_may_stand_in_brackets() -> None:
    side = Side.of("source", Dsn({"host": "h", "port": "1"}), "[fd00::7]:5432")
    assert (side.seen.host, side.seen.port) == ("fd00::7", 5432)


def test_the_other_server_is_told_what_came_from_our_environment() -> None:
    info = SimpleNamespace(host="old", port=5433, user="me", password="it's a \\ word")
    connection = cast(Connection, cast(Any, SimpleNamespace(info=info)))
    told = Dsn.parse(Side.of("source", Dsn({"dbname": "sh op"})).conninfo_for_peer(connection))
    assert (str(told), told.parameters["password"]) == ("me@old:5433/sh op", info.password)
    told = Dsn.parse(Side.of("source", Dsn({}), "seen:1").conninfo_for_peer(connection))
    assert (told.host, told.port) == ("seen", 1)


def test_an_address_that_a_later_start_gives_counts_for_every_later_command(
    tmp_path: Path,
) -> None:
    sides = Dsn({"host": "old", "dbname": "shop"}), Dsn({"host": "new", "dbname": "shop"})
    with Journal.in_folder(tmp_path) as journal:
        begin_or_resume(journal, "shop", *sides, SeenAt(target="seen:2"))
        begin_or_resume(journal, "shop", *sides, SeenAt(source="seen:1"))
        record = resume(journal, None, None, None, SeenAt())
        assert (record.source.seen.port, record.target.seen.port) == (1, 2)
