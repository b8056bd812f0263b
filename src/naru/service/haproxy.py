"""HAProxy in front: writes go to the primary, reads to standbys, by Patroni's health checks."""

from __future__ import annotations

import csv
import io
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from naru.errors import UnreachableError
from naru.ground import OWN_MACHINE
from naru.service.layout import Layout, Node
from naru.service.onhost.member import FRESH

_CHECKS = (
    "inter 500ms fastinter 100ms downinter 250ms fall 2 rise 1 on-marked-down shutdown-sessions"
)

_LIVE = "live"

_SERVER = "2"
"""The type of a server's row in HAProxy's CSV."""


def render_haproxy(
    layout: Layout, stats_socket: Path, *, beside: Layout | None = None, live: Path | None = None
) -> str:
    """The configuration. A node that fails two checks, 100 ms apart, loses its sessions at once.
    A session that one node refuses is tried at another at once, where there is one. Nodes see
    sessions come from the endpoint's own address.

    Reads go to the primary only while no standby is fit for them.

    With a second cluster `beside`, the map in the file `live` says which of the two the
    service's ports lead to (see `render_live`), and each has a port of its own. The text is the
    same whichever of them has the clients, so that nothing need be read again.
    """
    both = sorted(
        (one for one in (layout, beside) if one is not None), key=lambda one: one.first_number
    )
    frontends = _frontends(layout) if live is None else _switchable(both, live)
    backends = "".join(_backends(one) for one in both)
    return f"""global
    maxconn 4000
    hard-stop-after 2s
    log stdout format raw daemon notice
    stats socket {stats_socket} mode 600 level admin
    ssl-default-server-options ssl-min-ver TLSv1.2

defaults
    mode tcp
    log global
    maxconn 2000
    retries 3
    option redispatch 1
    source {layout.address}
    option clitcpka
    option srvtcpka
    timeout connect 2s
    timeout queue 2s
    timeout check 1s
    timeout client 24h
    timeout server 24h
    option httpchk
    http-check expect status 200
    default-server {checks(layout)}

{frontends}{backends}"""


def _frontends(layout: Layout) -> str:
    end = layout.suffix
    return f"""frontend writes_in
    bind {layout.address}:{layout.write_port}
    {_let_in(layout)}
    default_backend writes{end}

frontend reads_in
    bind {layout.address}:{layout.read_port}
    {_let_in(layout)}
    use_backend reads_on_primary{end} if {{ nbsrv(reads{end}) lt 1 }}
    default_backend reads{end}
"""


def _let_in(layout: Layout) -> str:
    return f"tcp-request connection reject unless {{ src -f {layout.allowed_file} }}"


def _switchable(layouts: Sequence[Layout], live: Path) -> str:
    """The service's ports led by the map, and a port of its own for each cluster."""
    writes, reads, own = [], [], []
    for one in layouts:
        end = one.suffix
        chosen = f"{{ str({_LIVE}),map_str({live}) -m str {one.first_number} }}"
        writes.append(f"    use_backend writes{end} if {chosen}")
        reads.append(
            f"    use_backend reads_on_primary{end} if {chosen} {{ nbsrv(reads{end}) lt 1 }}"
        )
        reads.append(f"    use_backend reads{end} if {chosen}")
        own.append(
            f"frontend own{end}_in\n"
            f"    bind {one.address}:{one.own_port}\n"
            f"    tcp-request connection reject unless {{ src {OWN_MACHINE} }}\n"
            f"    default_backend writes{end}\n"
        )
    first = layouts[0]
    return "\n".join((
        f"frontend writes_in\n    bind {first.address}:{first.write_port}",
        f"    {_let_in(first)}",
        *writes,
        f"\nfrontend reads_in\n    bind {first.address}:{first.read_port}",
        f"    {_let_in(first)}",
        *reads,
        "",
        *own,
    ))  # fmt: skip


def _backends(layout: Layout) -> str:
    end = layout.suffix
    return f"""
backend writes{end}
    http-check send meth OPTIONS uri /primary
{_servers(layout)}

backend reads{end}
    balance leastconn
    http-check send meth GET uri /{FRESH}
{_servers(layout)}

backend reads_on_primary{end}
    http-check send meth OPTIONS uri /primary
{_servers(layout)}
"""


def render_live(layout: Layout) -> str:
    """The map that leads the service's ports to the cluster of `layout`."""
    return f"{_LIVE} {layout.first_number}\n"


def lead_to(layout: Layout, other: Layout, live: Path, stats_socket: Path) -> None:
    """Lead new sessions at the service's ports to `layout`, and end those that read at `other`.

    Sessions that write are not ended: whoever fenced the database there has done so.
    Raises UnreachableError when HAProxy does not take it.
    """
    ask(stats_socket, f"set map {live} {_LIVE} {layout.first_number}", 5)
    said = ask(stats_socket, f"get map {live} {_LIVE}", 5)
    if f'value="{layout.first_number}"' not in said:
        raise UnreachableError(
            f"HAProxy does not lead to {layout.cluster}: {said.strip() or 'no answer'}",
            remedy="see its log (`naru status`), and run the same command again",
        )
    for backend in ("reads", "reads_on_primary"):
        for node in other.nodes:
            server = f"{backend}{other.suffix}/{node.name}"
            ask(stats_socket, f"shutdown sessions server {server}", 5)


def backends(layout: Layout) -> tuple[str, ...]:
    """The names of the backends that its nodes are servers of."""
    return tuple(f"{name}{layout.suffix}" for name in ("writes", "reads", "reads_on_primary"))


def _servers(layout: Layout) -> str:
    return "\n".join(f"    server {node.name} {address_of(node)}" for node in layout.nodes)


def address_of(node: Node) -> str:
    """Where a node is, and where it is asked how it is."""
    return f"{node.address}:{node.port} check port {node.rest_port} verifyhost {node.address}"


def checks(layout: Layout) -> str:
    """How every server is checked. One that is added at work inherits nothing: it is told this."""
    return f"{_CHECKS} check-ssl verify required ca-file {layout.authority}"


def without_servers(text: str) -> str:
    """A configuration without what differs when members come and go."""
    return "\n".join(one for one in text.splitlines() if not one.startswith("    server "))


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
    rows, end = parse_stats(ask(stats_socket, "show stat", seconds)), layout.suffix
    reads = f"reads{end}" if rows.get(f"reads{end}") else f"reads_on_primary{end}"
    return (
        _endpoint("writes", layout.address, layout.write_port, f"writes{end}", rows),
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
    return all_checked(ask(stats_socket, "show stat", seconds))


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
    rows = csv.DictReader(io.StringIO(ask(stats_socket, "show stat", seconds).removeprefix("# ")))
    return tuple(
        row["svname"]
        for row in rows
        if row["pxname"] == backend and row["type"] == _SERVER and row["status"].startswith("UP")
    )


def trust(stats_socket: Path, authority: Path, seconds: float = 2.0) -> bool:
    """Have HAProxy check members by what `authority` holds now; sessions stay. False if it
    did not take it."""
    pem = authority.read_text().strip()
    ask(stats_socket, f"set ssl ca-file {authority} <<\n{pem}\n", seconds)
    return "Success" in ask(stats_socket, f"commit ssl ca-file {authority}", seconds)


def allow(stats_socket: Path, file: Path, seconds: float = 2.0) -> bool:
    """Have HAProxy let in what `file` names now, all at once; sessions stay. False if it did
    not take it."""
    version = ask(stats_socket, f"prepare acl {file}", seconds).rpartition(":")[2].strip()
    if not version.isdigit():
        return False
    for network in file.read_text().split():
        ask(stats_socket, f"add acl @{version} {file} {network}", seconds)
    return not ask(stats_socket, f"commit acl @{version} {file}", seconds).strip()


def servers(stats_socket: Path, backend: str) -> dict[str, str]:
    """All servers of a backend by name, with how HAProxy calls their state: `UP`, `DRAIN`,
    `MAINT` … Raises UnreachableError."""
    return {name: row["status"] for name, row in _rows(stats_socket, backend).items()}


def sessions(stats_socket: Path, backend: str, name: str) -> int:
    """How many sessions a server has; 0 for one that is not there."""
    row = _rows(stats_socket, backend).get(name)
    return int(row["scur"] or 0) if row else 0


def _rows(stats_socket: Path, backend: str) -> dict[str, dict[str, str]]:
    text = ask(stats_socket, "show stat").removeprefix("# ")
    if not text:
        raise UnreachableError(
            "HAProxy does not answer on its socket", remedy="see `naru status` and its log"
        )
    return {
        row["svname"]: row
        for row in csv.DictReader(io.StringIO(text))
        if row["pxname"] == backend and row["type"] == _SERVER
    }


def ask(path: Path, command: str, seconds: float = 2.0) -> str:
    """What HAProxy says to a command; nothing when it does not answer."""
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
