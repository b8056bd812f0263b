"""How an environment that was made without TLS passes over to it."""

from __future__ import annotations

import contextlib

from naru.errors import DeadlineError
from naru.service import Service
from naru.system import Observer
from naru.traffic import Pool

PAUSE_SECONDS = 5.0
PASSING_SECONDS = 300.0


def pass_to_tls(service: Service, pool: Pool, observer: Observer) -> None:
    """Stop a service made without TLS, and bring it up with it; clients of the pool wait."""
    observer.note(
        "this environment was made without TLS, and passes to it now: clients of the pool wait for"
        " some seconds, sessions at the service's own address end, and new ones of either need TLS"
    )
    pool.up(verify=False)
    with pool.hold(service, PAUSE_SECONDS, longest_seconds=PASSING_SECONDS) as hold:
        with contextlib.suppress(DeadlineError):
            hold.pause()
        service.up(observer)
        pool.up()
