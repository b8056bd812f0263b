"""Which slots a live comparison follows."""

from __future__ import annotations

from typing import Any, cast

import pytest

from naru.errors import UsageError
from naru.postgres import Connection
from naru.verify.following import find_slots


class Server:
    """A connection that answers every query with the same rows."""

    def __init__(self, *names: str) -> None:
        self.rows = [(name,) for name in names]

    def execute(self, *_: object) -> Server:
        return self

    def fetchall(self) -> list[tuple[str]]:
        return self.rows


def slots(source: Server, target: Server, wanted: str | None = None) -> tuple[str, ...]:
    return find_slots(cast(Connection, cast(Any, source)), cast(Any, target), wanted)


def test_of_several_slots_those_count_that_the_target_reads() -> None:
    source = Server("naru_shop_1", "naru_shop_2", "naru_left")
    assert slots(source, Server("naru_shop_2", "naru_shop_1")) == ("naru_shop_1", "naru_shop_2")
    with pytest.raises(UsageError, match="none of Naru's that the target reads"):
        slots(source, Server())


def test_the_only_slot_counts_whoever_reads_it() -> None:
    assert slots(Server("theirs"), Server(), "theirs") == ("theirs",)
    with pytest.raises(UsageError, match="no logical slot 'nowhere'"):
        slots(Server(), Server("nowhere"), "nowhere")
