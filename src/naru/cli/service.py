"""`naru service …`: running the highly available service."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from naru.cli import backup, restore, scaling, security, settings, talk
from naru.cli.alarms import put_alarms
from naru.cli.connections import connections
from naru.cli.history import history
from naru.cli.noting import noted
from naru.cli.options import JsonOption, SpecOption, YesOption, running
from naru.cli.upgrade import name_of_upgrade, upgrade
from naru.errors import NaruError, RefusedError

if TYPE_CHECKING:
    from naru.lab.environment import Environment
    from naru.service import ServiceStatus
    from naru.traffic import PoolerFacts, Sizing

app = typer.Typer(help="Run the highly available service.", no_args_is_help=True)
app.add_typer(backup.app, name="backup")
app.command("backups")(backup.list_backups)
app.command()(backup.losses)
app.command()(restore.restore)
app.add_typer(restore.app, name="restored")
app.command()(upgrade)
app.command("settings")(settings.settings)
app.command("audit")(settings.audit)
app.command()(security.certificates)
app.command()(security.access)
app.command()(history)
app.command()(scaling.scale)
app.command()(scaling.rebuild)
app.command()(connections)


@app.callback()
def group() -> None:
    """Run the highly available service."""


@app.command()
def status(spec: SpecOption = None, json: JsonOption = False) -> None:
    """Members, roles, timeline, lag, endpoints, pool, storage, alarms. Exit code 1 when clients
    cannot write: no commit is confirmed, their way in is closed, or the data are full.
    """
    from naru.service import (
        AlarmFacts,
        PoolState,
        alarms_of_service,
        damaged_members,
        fenced_lately,
        unfinished_scale,
    )

    environment = running(spec)
    found, pools = environment.service.status(), _pools(environment)
    sizing = _sizing(environment)
    kept, upgrading = backup.backup_status(environment), name_of_upgrade(environment)
    damaged = damaged_members(environment.service)
    unfinished = unfinished_scale(environment.service)
    secured, outsiders = security.certificate_status(environment.ground), environment.outsiders()
    alarms = alarms_of_service(AlarmFacts(
        status=found,
        ground=environment.ground.status(),
        storage=environment.service.storage(),
        damaged=damaged,
        fenced=fenced_lately(environment.ground, environment.service.layout),
        pools=None if pools is None else [
            PoolState(one.database, one.paused, one.clients_waiting) for one in pools
        ],
        too_large=sizing.too_large if sizing is not None else None,
        unfinished=unfinished,
        certificates=secured["trouble"] if secured is not None else None,
        outsiders=len(outsiders),
        backup=kept,
        upgrade=upgrading,
        waiting=settings.waiting_for_restart(environment),
    ))  # fmt: skip
    if json:
        document = found.to_json()
        document["alarms"] = [one.to_json() for one in alarms]
        document["damaged"] = damaged
        document["pool"] = [asdict(one) for one in pools or ()]
        document["backup"] = kept
        document["upgrade"] = upgrading
        document["connections"] = sizing.to_json() if sizing else None
        document |= settings.storage_and_maintenance(environment)
        document["certificates"] = secured
        document["not_let_in"] = [one.to_json() for one in outsiders]
        talk.put_json(document)
    else:
        _print(found, pools or ())
        settings.put_storage_and_maintenance(environment)
        if sizing is not None:
            talk.put(f"connections: {sizing.sentence}")
            for warning in sizing.warnings:
                talk.say(f"warning: {warning}")
        for name, failures in damaged.items():
            talk.put(
                f"damaged pages: {name} met {failures} with a wrong checksum; never trust its data,"
                " rebuild it from another member"
            )
        if kept is not None:
            talk.put(f"backups: {kept.get('sentence') or kept['trouble']}")
        if upgrading is not None:
            talk.put(f"upgrade: {upgrading} is under way; `naru service upgrade` shows it")
        if secured is not None and secured["trouble"]:
            talk.put(f"certificates: {secured['trouble']}: naru service certificates --renew")
        if outsiders:
            talk.put(
                f"access: {len(outsiders)} sessions are open from addresses that are not let in:"
                " naru service access"
            )
        for one in unfinished:
            talk.put(f"scale: {one}; `naru service scale` goes on with it")
        put_alarms(alarms)
    full = environment.service.storage()
    lost = any(one.purpose == "writes" and not one.up for one in found.endpoints) or pools is None
    stopped = lost or found.protection.level == "none" or (full is not None and full.read_only)
    raise typer.Exit(1 if stopped else 0)


PauseOption = Annotated[
    float,
    typer.Option("--pause-seconds", min=0.1, help="How long open transactions may take to end."),
]


@app.command()
def switchover(
    to: Annotated[
        str | None, typer.Option("--to", metavar="MEMBER", help="Who takes over.")
    ] = None,
    spec: SpecOption = None,
    pause_seconds: PauseOption = 5.0,
    yes: YesOption = False,
    json: JsonOption = False,
) -> None:
    """Make another member the primary. Clients of the pool wait; none of them gets an error.

    Who takes over is a synchronous standby; by default the closest one.
    """
    from naru.service import plan_switchover, switch_over

    environment = running(spec)
    service = environment.service
    plan = plan_switchover(service.status(), to)
    for warning in plan.warnings:
        talk.say(f"note: {warning}")
    talk.confirm(f"make {plan.enter} the primary instead of {plan.leave}", yes=yes)
    with noted(environment, "switchover", alone=True) as (run, observer):
        if plan_switchover(service.status(), to).leave != plan.leave:
            raise RefusedError(
                f"{plan.leave} does not lead any more", remedy="look, and start over"
            )
        hold = environment.pool.hold(service, pause_seconds)
        done = switch_over(service, plan, hold, observer=observer)
        run.event("service.switchover", f"{done.leave} → {done.enter}")
        for name, value in done.to_json().items():
            run.figure(name, value, "ms" if name == "held_ms" else "")
    if json:
        talk.put_json(done.to_json())
        return
    talk.put(f"primary     {done.leave} → {done.enter}")
    for name, ms in done.steps.items():
        talk.put(f"{name:<12}{ms:8.1f} ms")
    talk.put(f"{'held':<12}{done.held_ms:8.1f} ms")


@app.command()
def restart(
    member: Annotated[
        str | None, typer.Argument(help="A member; by default all, one by one.")
    ] = None,
    pending: Annotated[
        bool, typer.Option("--pending", help="Only members that need it for a changed setting.")
    ] = False,
    spec: SpecOption = None,
    pause_seconds: PauseOption = 5.0,
    yes: YesOption = False,
    json: JsonOption = False,
) -> None:
    """Restart members one by one: standbys first, the primary after another took over.

    Clients of the pool wait for a moment while the lead changes hands; none gets an error.
    """
    from naru.service import plan_restart
    from naru.service import restart as carry_out

    environment = running(spec)
    service = environment.service
    plan = plan_restart(service.status(), member, pending=pending)
    if not plan.members:
        talk.say("no member needs a restart")
    else:
        talk.confirm(f"restart {', '.join(plan.members)}, in this order", yes=yes)
    with noted(environment, "restart", alone=True) as (run, observer):
        plan = plan_restart(service.status(), member, pending=pending)
        done = carry_out(
            service, plan, lambda: environment.pool.hold(service, pause_seconds), observer=observer
        )
        for name, value in done.to_json().items():
            run.figure(name, value, "")
        run.event("service.restart", f"restarted {', '.join(done.members) or 'nobody'}")
    if json:
        talk.put_json(done.to_json())
        return
    for name in done.members:
        talk.put(f"restarted   {name}")
    if done.switchover:
        talk.put(f"primary     {done.switchover.leave} → {done.switchover.enter}")
        talk.put(f"{'held':<12}{done.switchover.held_ms:8.1f} ms")
    if done.in_place:
        talk.put(f"restarted   {done.in_place} in its place")


def _pools(environment: Environment) -> list[PoolerFacts] | None:
    """How the pool serves each database; None when the pool does not answer."""
    names = {environment.spec.source.database, environment.spec.service.database}
    try:
        return [environment.pool.pooler.observe(name) for name in sorted(names)]
    except NaruError as error:
        talk.say(f"the pool does not answer: {error.message}")
        return None


def _sizing(environment: Environment) -> Sizing | None:
    """The pools against the server's limits; None when either does not answer."""
    with contextlib.suppress(NaruError):
        return environment.pool.sizing(environment.service)
    return None


def _print(found: ServiceStatus, pools: Sequence[PoolerFacts]) -> None:
    talk.put(f"cluster {found.cluster}, PostgreSQL {found.version or 'unknown'}")
    talk.put(found.protection.sentence)
    members = Table("member", "address", "role", "state", "timeline", "lag", "pid", box=None)
    for one in found.members:
        lag = "-" if one.lag_bytes is None else f"{one.lag_bytes} B"
        members.add_row(
            one.name,
            f"{one.address}:{one.port}",
            one.role.replace("_", " "),
            f"{one.state}, needs a restart" if one.pending_restart else one.state,
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
