"""`naru service connections`: the pools against the server's limits, and who waits now."""

from __future__ import annotations

import typer
from rich.table import Table

from naru.cli import talk
from naru.cli.options import JsonOption, SpecOption, running


def connections(spec: SpecOption = None, json: JsonOption = False) -> None:
    """Pool sizes against the server's limits, and live use. Exit code 1 when they do not fit."""
    environment = running(spec)
    found = environment.pool.sizing(environment.service)
    if json:
        talk.put_json(found.to_json())
    else:
        talk.put(found.sentence)
        table = Table(
            "database", "user", "clients", "waiting", "longest wait", "servers", "busy", "at most",
            box=None,
        )  # fmt: skip
        for one in found.facts.pools:
            table.add_row(
                one.database, one.user, str(one.clients_active), str(one.clients_waiting),
                f"{one.max_wait:.1f} s", str(one.servers), str(one.servers_active), str(one.size),
            )  # fmt: skip
        talk.put_table(table)
    for warning in found.warnings:
        talk.say(f"warning: {warning}")
    raise typer.Exit(1 if found.demand > found.available else 0)
