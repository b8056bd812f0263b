"""HAProxy in front: writes go to the primary, reads to standbys, by Patroni's health checks."""

from __future__ import annotations

import csv
import io
import socket
from dataclasses import dataclass
from pathlib import Path

from naru.service.layout import Layout

_READ_LAG = "16MB"
_SERVER = "2"
"""The type of a server's row in HAProxy's CSV."""


def render_haproxy(layout: Layout, stats_socket: Path) -> str:
    """The configuration. A node that fails two checks, 100 ms apart, loses its sessions at once.
    A session that one node refuses is tried at another at once, where there is one.

    Reads go to the primary only while no standby is fit for them.
    """
    return f"""global
    maxconn 4000
    hard-stop-after 2s
    log stdout format raw daemon notice
    stats socket {stats_socket} mode 600 level admin

defaults
    mode tcp
    log global
    maxconn 2000
    retries 3
    option redispatch 1
    option clitcpka
    option srvtcpka
    timeout connect 2s
    timeout queue 2s
    timeout check 1s
    timeout client 24h
    timeout server 24h
    option httpchk
    http-check expect status 200
    default-server inter 500ms fastinter 100ms downinter 250ms fall 2 rise 1 \
on-marked-down shutdown-sessions

frontend writes_in
    bind {layout.address}:{layout.write_port}
    default_backend writes

frontend reads_in
    bind {layout.address}:{layout.read_port}
    use_backend reads_on_primary if {{ nbsrv(reads) lt 1 }}
    default_backend reads

backend writes
    http-check send meth OPTIONS uri /primary
{_servers(layout)}

backend reads
    balance leastconn
    http-check send meth OPTIONS uri /replica?lag={_READ_LAG}&replication_state=streaming
{_servers(layout)}

backend reads_on_primary
    http-check send meth OPTIONS uri /primary
{_servers(layout)}
"""


def _servers(layout: Layout) -> str:
    return "\n".join(
        f"    server {node.name} {node.address}:{node.port} check port {node.rest_port}"
        for node in layout.nodes
    )


@dataclass(frozen=True)
class Endpoint:
    """An address of the service, and which nodes it leads to now."""

    purpose: str
    address: str
    port: int
    up: bool
    nodes: tuple[str, ...]
    sessions: int


def endpoints(layout: Layout, stats_socket: Path, seconds: float = 2.0) -> tuple[Endpoint, ...]:
    """The write and the read endpoint as HAProxy sees them; both down when it does not answer."""
    rows = parse_stats(_ask(stats_socket, "show stat", seconds))
    reads = "reads" if rows.get("reads") else "reads_on_primary"
    return (
        _endpoint("writes", layout.address, layout.write_port, "writes", rows),
        _endpoint("reads", layout.address, layout.read_port, reads, rows),
    )


def _endpoint(
    purpose: str, address: str, port: int, backend: str, rows: dict[str, dict[str, int]]
) -> Endpoint:
    nodes = rows.get(backend, {})
    return Endpoint(purpose, address, port, bool(nodes), tuple(nodes), sum(nodes.values()))


def parse_stats(text: str) -> dict[str, dict[str, int]]:
    """From HAProxy's CSV: for each backend the servers that are up, with their sessions.

    A server counts once a check has passed: before its first one HAProxy takes it for up.
    """
    found: dict[str, dict[str, int]] = {}
    for row in csv.DictReader(io.StringIO(text.removeprefix("# "))):
        if row["status"].startswith("UP") and row["check_status"].endswith("L7OK"):
            found.setdefault(row["pxname"], {})[row["svname"]] = int(row["scur"])
    return found


def is_settled(stats_socket: Path, seconds: float = 2.0) -> bool:
    """True once every server has been checked, so that none is taken for up untested.

    Until then a new HAProxy may lead writes to a standby.
    """
    return all_checked(_ask(stats_socket, "show stat", seconds))


def all_checked(text: str) -> bool:
    """From HAProxy's CSV: whether each server's first check has come to an end."""
    servers = [
        row
        for row in csv.DictReader(io.StringIO(text.removeprefix("# ")))
        if row["svname"] not in {"FRONTEND", "BACKEND"}
    ]
    # An asterisk marks a check under way, before the result of the last one.
    seen = [row["check_status"].removeprefix("* ") for row in servers]
    return bool(seen) and all(one not in {"", "INI", "UNK"} for one in seen)


def routes(stats_socket: Path, backend: str = "writes", seconds: float = 2.0) -> tuple[str, ...]:
    """Every server that HAProxy may send a new session to now.

    More than `endpoints` tells: one whose first check has just failed still gets sessions.
    """
    rows = csv.DictReader(io.StringIO(_ask(stats_socket, "show stat", seconds).removeprefix("# ")))
    return tuple(
        row["svname"]
        for row in rows
        if row["pxname"] == backend and row["type"] == _SERVER and row["status"].startswith("UP")
    )


def _ask(path: Path, command: str, seconds: float) -> str:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.settimeout(seconds)
            line.connect(str(path))
            line.sendall(f"{command}\n".encode())
            parts = []
            while part := line.recv(65536):
                parts.append(part)
    except OSError:
        return ""
    return b"".join(parts).decode()
