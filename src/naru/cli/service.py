"""`naru service …`: running the highly available service."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer
from rich.table import Table

from naru.cli import talk
from naru.cli.options import JsonOption, SpecOption, spec_of
from naru.errors import NaruError

if TYPE_CHECKING:
    from naru.lab.environment import Environment
    from naru.service import ServiceStatus
    from naru.traffic import PoolerFacts

app = typer.Typer(help="Run the highly available service.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Run the highly available service."""


@app.command()
def status(spec: SpecOption = None, json: JsonOption = False) -> None:
    """Members, roles, timeline, lag, endpoints, pool. Exit code 1 when writes stand still."""
    from naru.ground import state_folder
    from naru.lab.environment import Environment

    declared, file = spec_of(spec)
    environment = Environment(declared, state_folder(file))
    environment.must_be_up()
    found, pools = environment.service.status(), _pools(environment)
    if json:
        document = found.to_json()
        document["pool"] = [asdict(one) for one in pools]
        talk.put_json(document)
    else:
        _print(found, pools)
    raise typer.Exit(1 if found.protection.level == "none" else 0)


def _pools(environment: Environment) -> list[PoolerFacts]:
    """How the pool serves each database; empty when the pool does not answer."""
    names = {environment.spec.source.database, environment.spec.service.database}
    try:
        return [environment.pool.pooler.observe(name) for name in sorted(names)]
    except NaruError as error:
        talk.say(f"the pool does not answer: {error.message}")
        return []


def _print(found: ServiceStatus, pools: list[PoolerFacts]) -> None:
    talk.put(f"cluster {found.cluster}, PostgreSQL {found.version or 'unknown'}")
    talk.put(found.protection.sentence)
    members = Table("member", "address", "role", "state", "timeline", "lag", "pid", box=None)
    for one in found.members:
        lag = "-" if one.lag_bytes is None else f"{one.lag_bytes} B"
        members.add_row(
            one.name,
            f"{one.address}:{one.port}",
            one.role.replace("_", " "),
            one.state,
            str(one.timeline or "-"),
            lag,
            str(one.pid or "-"),
        )
    talk.put_table(members)
    parts = Table("part", "address", "state", box=None)
    for node in found.etcd:
        healthy = "healthy" if node.healthy else "does not answer"
        parts.add_row(node.name, f"{node.address}:{node.port}", healthy)
    for end in found.endpoints:
        leads = f"to {', '.join(end.nodes)}, {end.sessions} sessions" if end.up else "down"
        parts.add_row(end.purpose, f"{end.address}:{end.port}", leads)
    for pool in pools:
        paused = "paused, " if pool.paused else ""
        clients = f"{pool.clients_active} clients, {pool.clients_waiting} waiting"
        parts.add_row(f"pool {pool.database}", pool.pooler, f"{paused}to {pool.where}, {clients}")
    talk.put_table(parts)
