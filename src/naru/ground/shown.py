"""Which certificate is shown at a place now: seen in a handshake, without trusting anybody."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from naru.ground.certificates import Certificate
from naru.ground.identities import POSTGRES_PORTS, Place

_SECONDS = 3.0
_SSL_REQUEST = struct.pack("!II", 8, 80877103)
"""PostgreSQL's word for: let us speak TLS. A server that does says `S`."""


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
            if place.purpose in POSTGRES_PORTS:
                line.sendall(_SSL_REQUEST)
                if line.recv(1) != b"S":
                    return None
            with context.wrap_socket(line) as session:
                der = session.getpeercert(binary_form=True)
                return authority.read_der(der).serial if der else None
    return None
