"""Which members have met damaged pages: their checksums did not fit."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Protocol

from naru.errors import UnreachableError
from naru.postgres import Dsn, connect, fetch_value
from naru.service.status import Member

_FAILURES = "SELECT coalesce(sum(checksum_failures), 0)::int8 FROM pg_stat_database"


class Reachable(Protocol):
    """What is asked; `naru.service.Service` is one."""

    def members(self) -> Iterable[Member]: ...

    def member(self, name: str, database: str | None = None) -> Dsn: ...


def damaged_members(service: Reachable) -> dict[str, int]:
    """Members whose server has found pages with a wrong checksum, and how often it did.

    The server counts since its statistics were last reset; a member that is rebuilt begins
    anew. Members that do not answer are left out.
    """
    found = {}
    for one in service.members():
        with contextlib.suppress(UnreachableError):
            with connect(service.member(one.name, "postgres"), purpose="status") as connection:
                failures = int(fetch_value(connection, _FAILURES))
            if failures:
                found[one.name] = failures
    return found
