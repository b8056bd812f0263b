"""Which certificate is shown at a place now, and how a new one comes to be shown.

Seen in a handshake, without trusting anybody.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from naru.errors import DeadlineError
from naru.ground.certificates import Certificate, Certificates
from naru.ground.identities import POSTGRES_PORTS, Place
from naru.postgres import ask_for_tls
from naru.system import wait_until

_SECONDS = 3.0
_SHOWN_SECONDS = 30.0


class Reloadable(Protocol):
    """What reads its certificates anew when told, and keeps its sessions."""

    def reload(self) -> None: ...


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
        wait_until(all_shown, "every server to show its new certificate", _SHOWN_SECONDS)
    except DeadlineError as error:
        names = ", ".join(f"{one.name}:{place.port}" for one, place in late)
        raise DeadlineError(
            f"{error.message}: {names} do not",
            remedy="see their logs (`naru status`), and run the same command again",
        ) from None


def outdated(certificates: Sequence[Certificate]) -> tuple[tuple[Certificate, Place], ...]:
    """Where another certificate is shown than the file holds; places that are silent are none."""
    pairs = [(one, place) for one in certificates for place in one.places]
    with ThreadPoolExecutor(max_workers=12) as pool:
        serials = list(pool.map(lambda pair: shown_at(pair[1]), pairs))
    return tuple(
        pair
        for pair, serial in zip(pairs, serials, strict=True)
        if serial is not None and serial != pair[0].serial
    )


def shown_at(place: Place, seconds: float = _SECONDS) -> str | None:
    """The serial number of the certificate at `place`; None if nobody shows one."""
    from naru.ground import authority

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with contextlib.suppress(OSError):
        with socket.create_connection((place.address, place.port), timeout=seconds) as line:
            if place.purpose in POSTGRES_PORTS and not ask_for_tls(line):
                return None
            with context.wrap_socket(line) as session:
                der = session.getpeercert(binary_form=True)
                return authority.read_der(der).serial if der else None
    return None
