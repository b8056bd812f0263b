"""Why a server's certificate is not trusted: libpq says only that it is not."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct

from naru.postgres.dsn import Dsn

_SECONDS = 3.0
_SSL_REQUEST = struct.pack("!II", 8, 80877103)


def ask_for_tls(line: socket.socket) -> bool:
    """Say PostgreSQL's word for: let us speak TLS. True if the server will.

    https://www.postgresql.org/docs/current/protocol-message-formats.html (SSLRequest)
    """
    line.sendall(_SSL_REQUEST)
    return line.recv(1) == b"S"


def why_distrusted(dsn: Dsn, seconds: float = _SECONDS) -> str | None:
    """What is wrong with the certificate that the server at `dsn` shows, in OpenSSL's words, such
    as `certificate has expired`; None if nothing is found wrong, or no server answers."""
    authority = dsn.parameters.get("sslrootcert")
    try:
        context = ssl.create_default_context(cafile=None if authority == "system" else authority)
    except OSError:
        return None
    # Whether it is for this host is what libpq tells by itself.
    context.check_hostname = False
    address = (dsn.parameters.get("hostaddr", dsn.host), dsn.port)
    with contextlib.suppress(OSError):
        with socket.create_connection(address, timeout=seconds) as line:
            if not ask_for_tls(line):
                return None
            try:
                context.wrap_socket(line, server_hostname=dsn.host).close()
            except ssl.SSLCertVerificationError as error:
                return str(error.verify_message)
    return None
