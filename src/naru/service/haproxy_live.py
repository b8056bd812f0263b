"""Members that come and go, told to a HAProxy at work: no restart, no session lost."""

from __future__ import annotations

import contextlib
from pathlib import Path

from naru.errors import DeadlineError, ServerError
from naru.service import haproxy
from naru.service.layout import Layout
from naru.system import wait_until

DRAIN_SECONDS = 10.0
"""How long sessions at a member that leaves may take to end; then they are ended."""

END_SECONDS = 10.0


def converge(layout: Layout, stats_socket: Path) -> None:
    """Let every backend have exactly the members of `layout`.

    Raises ServerError with what HAProxy said when it does not take a change.
    """
    nodes = {node.name: node for node in layout.nodes}
    for backend in haproxy.backends(layout):
        present = haproxy.servers(stats_socket, backend)
        for name in present.keys() - nodes.keys():
            _take_out(f"{backend}/{name}", stats_socket)
        for name, node in nodes.items():
            server = f"{backend}/{name}"
            if name not in present:
                how = f"{haproxy.address_of(node)} {haproxy.checks(layout)}"
                _command(stats_socket, f"add server {server} {how}", "New")
            _let_in(server, stats_socket, unknown=present.get(name, "MAINT").startswith("MAINT"))


def _let_in(server: str, stats_socket: Path, *, unknown: bool) -> None:
    """Let a server have sessions, also where whoever added it, or took it out, was cut off.

    One that is `unknown` counts as down until its first check: nobody is sent there untested.
    """
    if unknown:
        _command(stats_socket, f"set server {server} health down")
        _command(stats_socket, f"enable health {server}")
    _command(stats_socket, f"set server {server} state ready")


def _take_out(server: str, stats_socket: Path) -> None:
    backend, _, name = server.partition("/")
    _command(stats_socket, f"set server {server} state drain")

    def empty() -> bool:
        return haproxy.sessions(stats_socket, backend, name) == 0

    with contextlib.suppress(DeadlineError):
        wait_until(empty, f"the sessions at {name} to end", DRAIN_SECONDS)
    _command(stats_socket, f"set server {server} state maint")
    _command(stats_socket, f"shutdown sessions server {server}")
    wait_until(empty, f"the sessions at {name} to be ended", END_SECONDS)
    _command(stats_socket, f"del server {server}", "Server deleted")


def _command(stats_socket: Path, command: str, wanted: str = "") -> None:
    answer = haproxy.ask(stats_socket, command).strip()
    if not answer.startswith(wanted) if wanted else answer:
        raise ServerError(
            f"HAProxy refused {command!r}: {answer or 'no answer'}",
            remedy="see its log (`naru status`), and run the same command again",
        )
