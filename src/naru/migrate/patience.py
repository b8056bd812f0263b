"""Doing something again while the server that it needs fails over."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import psycopg

from naru.errors import UnreachableError
from naru.system import Deadline

T = TypeVar("T")

FAILOVER_SECONDS = 60.0
"""How long a failover may take."""

_EVERY = 0.5


def through_a_failover(act: Callable[[], T], what: str) -> T:
    """Do `act`, which may be done again after it failed anywhere, until its servers answer.

    Raises what it raised last if they do not answer in time.
    """
    deadline = Deadline(FAILOVER_SECONDS, what)
    while True:
        try:
            return act()
        except (UnreachableError, psycopg.OperationalError):
            if deadline.passed:
                raise
            time.sleep(_EVERY)
