"""TLS of a whole environment: how an old one passes over, and new certificates come into use."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Protocol

from naru.errors import DeadlineError
from naru.ground import Certificate, Certificates, Place, outdated
from naru.service import Service
from naru.system import Observer, wait_until
from naru.traffic import Pool

PAUSE_SECONDS = 5.0
PASSING_SECONDS = 300.0
SHOWN_SECONDS = 30.0


class Reloadable(Protocol):
    """What reads its certificates anew when told, and keeps its sessions."""

    def reload(self) -> None: ...


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


def show_new_certificates(certificates: Certificates, parts: Iterable[Reloadable]) -> None:
    """Have every server that runs show the certificate that is on disk; no session ends.

    Raises DeadlineError naming who does not.
    """
    on_disk = certificates.list()
    if not outdated(on_disk):
        return
    for part in parts:
        part.reload()
    late: tuple[tuple[Certificate, Place], ...] = ()

    def all_shown() -> bool:
        nonlocal late
        late = outdated(on_disk)
        return not late

    try:
        wait_until(all_shown, "every server to show its new certificate", SHOWN_SECONDS)
    except DeadlineError as error:
        names = ", ".join(f"{one.name}:{place.port}" for one, place in late)
        raise DeadlineError(f"{error.message}: {names} do not") from None
