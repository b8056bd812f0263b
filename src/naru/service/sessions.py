"""Who is connected at the service's own ports, as HAProxy sees them; and ending sessions there."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from naru.ground import OpenSession
from naru.service.haproxy import ask

_SECONDS = 5.0
_DOORS = {"writes_in": "writes", "reads_in": "reads"}
_SESSION = re.compile(
    r"^(?P<handle>0x[0-9a-f]+): proto=tcpv4 src=(?P<address>[0-9.]+):(?P<port>\d+)"
    r" fe=(?P<frontend>\S+) be=\S+ srv=(?P<server>\S+)",
    re.MULTILINE,
)


def sessions_at(stats_socket: Path) -> tuple[OpenSession, ...]:
    """Every session at the ports for writes and reads; none when HAProxy does not answer."""
    return parse_sessions(ask(stats_socket, "show sess", _SECONDS))


def parse_sessions(text: str) -> tuple[OpenSession, ...]:
    """From HAProxy's `show sess`, which names the client's own address."""
    return tuple(
        OpenSession(
            _DOORS[one["frontend"]], one["address"], int(one["port"]),
            f"to {one['server']}", one["handle"],
        )
        for one in _SESSION.finditer(text)
        if one["frontend"] in _DOORS
    )  # fmt: skip


def end_sessions(stats_socket: Path, sessions: Iterable[OpenSession]) -> None:
    """End these, as a member does that is no longer primary. Harmless for those that ended."""
    for one in sessions:
        ask(stats_socket, f"shutdown session {one.handle}", _SECONDS)
