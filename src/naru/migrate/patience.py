"""Doing something again while the server that it needs fails over."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import psycopg

from naru.errors import NaruError, UnreachableError
from naru.system import Deadline

T = TypeVar("T")

FAILOVER_SECONDS = 60.0
"""How long a failover may take."""

_EVERY = 0.5
_READ_ONLY = psycopg.errors.ReadOnlySqlTransaction.sqlstate


def through_a_failover(act: Callable[[], T], what: str) -> T:
    """Do `act`, which may be done again after it failed anywhere, until its servers answer.

    Raises what it raised last if they do not answer in time.
    """
    deadline = Deadline(FAILOVER_SECONDS, what)
    while True:
        try:
            return act()
        except (NaruError, psycopg.Error) as error:
            if deadline.passed or not _may_pass(error):
                raise
            time.sleep(_EVERY)


def _may_pass(error: NaruError | psycopg.Error) -> bool:
    """True for a server that is away, or that is not yet, or no longer, the primary."""
    if isinstance(error, UnreachableError | psycopg.OperationalError):
        return True
    return error.sqlstate == _READ_ONLY
