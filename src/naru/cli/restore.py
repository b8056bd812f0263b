"""`naru service restore`, `restored`: any point in time, beside the service or in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from naru.cli import talk
from naru.cli.backup import with_backups
from naru.cli.noting import noted
from naru.cli.options import JsonOption, SpecOption, YesOption, running
from naru.errors import RefusedError, UsageError
from naru.system.units import human_bytes, human_seconds

if TYPE_CHECKING:
    from naru.backup import Backups, Beside, InPlaceState, RestorePlan
    from naru.lab.environment import Environment

app = typer.Typer(help="Instances restored beside the service.")

_Time = Annotated[
    str | None,
    typer.Option(
        "--time", metavar="MOMENT", help="What was committed up to then; no offset: service's zone."
    ),
]
_Lsn = Annotated[
    str | None, typer.Option("--lsn", help="All WAL up to the record at this position, and that.")
]
_Name = Annotated[
    str | None, typer.Option("--name", help="Up to a restore point, or a named backup.")
]
_Xid = Annotated[
    str | None,
    typer.Option("--before-xid", metavar="XID", help="Before this transaction committed."),
]
_Latest = Annotated[bool, typer.Option("--latest", help="All that has reached the backup host.")]
_Exclusive = Annotated[
    bool, typer.Option("--exclusive", help="With --time or --lsn: not what stands exactly there.")
]


def restore(
    time: _Time = None,
    lsn: _Lsn = None,
    name: _Name = None,
    before_xid: _Xid = None,
    latest: _Latest = False,
    exclusive: _Exclusive = False,
    as_: Annotated[
        str, typer.Option("--as", metavar="NAME", help="What to call the instance beside it.")
    ] = "past",
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Take the service itself back.")
    ] = False,
    timeline: Annotated[
        int | None,
        typer.Option("--timeline", min=1, help="Along which history; by default the service's."),
    ] = None,
    backup: Annotated[
        str | None, typer.Option("--backup", help="From this backup; by default the right one.")
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            "--cluster", help="From what was kept of this cluster, before a major upgrade."
        ),
    ] = None,
    confirm: Annotated[
        bool, typer.Option("--confirm", help="Delete the data from before a restore in place.")
    ] = False,
    undo: Annotated[
        bool, typer.Option("--undo", help="Put the service back as it was before one.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with one that was cut off.")
    ] = False,
    spec: SpecOption = None,
    yes: YesOption = False,
    json: JsonOption = False,
) -> None:
    """Bring a moment back, to the transaction: beside the service, or (--in-place) instead of it.

    Beside: a server of its own, to look at, to compare with, to copy rows back from. In place:
    everything committed since is gone from the service, and the old data are kept until
    --confirm; --undo brings them back. A moment that cannot be restored is refused, with the
    limits named.
    """
    from naru.backup import target_of

    environment = with_backups(spec) if cluster is None else running(spec)
    targets = [time, lsn, name, before_xid, latest or None]
    if confirm or undo or resume:
        if sum((confirm, undo, resume)) > 1 or any(one is not None for one in (*targets, cluster)):
            raise UsageError("--confirm, --undo and --resume stand alone, without a target")
        _afterwards(environment, confirm=confirm, undo=undo, yes=yes, json=json)
        return
    target = target_of(
        time=time, lsn=lsn, name=name, before_xid=before_xid, latest=latest, exclusive=exclusive,
        zone=environment.spec.service.timezone,
    )  # fmt: skip
    backups, beside = _kept(environment, cluster, in_place=in_place)
    plan = backups.plan(target, timeline=timeline, from_backup=backup)
    _tell(plan)
    if in_place:
        _in_place(environment, plan, yes=yes, json=json)
    else:
        _beside(environment, beside, plan, as_, json=json)


def _kept(
    environment: Environment, cluster: str | None, *, in_place: bool
) -> tuple[Backups, Beside]:
    """The service's own backups, or those of a cluster that it has left."""
    from naru.backup import earlier_of

    if cluster is None:
        return environment.backups, environment.beside
    found = earlier_of(environment.declared, environment.ground, cluster)
    if in_place:
        raise RefusedError(
            f"cluster {cluster} is of PostgreSQL {found.place.version}, and the service of"
            f" {environment.service.installation.major}: it cannot take the service's place",
            remedy="restore it beside the service (without --in-place), and copy from there",
        )
    found.prepare()
    return found.backups, found.beside


def _tell(plan: RestorePlan) -> None:
    talk.say(f"will be there: {plan.target.sentence}")
    talk.say(
        f"from {plan.backup.kind} backup {plan.backup.id} ({human_bytes(plan.size)}),"
        f" then up to {human_bytes(plan.replay)} of WAL, timeline {plan.timeline}"
    )


def _beside(
    environment: Environment, beside: Beside, plan: RestorePlan, name: str, *, json: bool
) -> None:
    with noted(environment, "restore beside") as (run, observer):
        run.event("backup.restore", f"{name}: {plan.target.sentence}, from {plan.backup.id}")
        one = beside.restore(plan, name, observer=observer)
    if json:
        talk.put_json(one.to_json())
        return
    talk.put(f"{one.name}\t{environment.beside.dsn(one.name)}")
    talk.say(f"passwords   {environment.ground.secrets.passfile} (PGPASSFILE)")
    talk.say(f"afterwards  naru service restored remove {one.name}")


def _in_place(environment: Environment, plan: RestorePlan, *, yes: bool, json: bool) -> None:
    cluster = environment.spec.service.cluster_name
    talk.say("what was committed since is gone from the service; old data stay until --confirm")
    talk.confirm(f"take cluster {cluster} back, with all its clients waiting meanwhile", yes=yes)
    with noted(environment, "restore in place", alone=True) as (run, observer):
        run.event("backup.restore", f"{plan.target.sentence}, from {plan.backup.id}")
        state = environment.in_place(observer).restore(plan)
    _show(state, json=json)


def _afterwards(
    environment: Environment, *, confirm: bool, undo: bool, yes: bool, json: bool
) -> None:
    environment.in_place().must_exist()
    if undo:
        talk.confirm("give up what was written since the restore", yes=yes)
    elif confirm:
        talk.confirm("delete the data from before the restore", yes=yes)
    what = "undo" if undo else "confirm" if confirm else "resume"
    with noted(environment, f"restore in place, {what}", alone=True) as (run, observer):
        work = environment.in_place(observer)
        state = work.undo() if undo else work.confirm() if confirm else work.resume()
        run.event("backup.restore", state.target.sentence)
    if undo:
        talk.say("the service is as it was before the restore")
    elif confirm:
        talk.say("the data from before the restore are deleted")
    _show(state, json=json)


def _show(state: InPlaceState, *, json: bool) -> None:
    if json:
        talk.put_json(state.to_json())
        return
    talk.put(f"restored    {state.target.sentence}")
    if state.down_seconds is not None:
        talk.put(f"no writes   {human_seconds(state.down_seconds)}")
    if state.step == "done":
        began, whole = state.times["began"], state.times["whole"]
        talk.put(f"all of it   {human_seconds(whole - began)}")


@app.callback(invoke_without_command=True)
def restored(context: typer.Context, spec: SpecOption = None, json: JsonOption = False) -> None:
    """List the instances restored beside the service."""
    if context.invoked_subcommand is not None:
        return
    found = running(spec).beside.list()
    if json:
        talk.put_json([one.to_json() for one in found])
        return
    table = Table("instance", "address", "backup", "shows", "state", box=None)
    for one in found:
        state = "running" if one.running else "stopped"
        table.add_row(one.name, f"{one.address}:{one.port}", one.backup, one.target, state)
    if found:
        talk.put_table(table)
    else:
        talk.say("there is none; `naru service restore` makes one")


@app.command()
def remove(
    name: Annotated[str, typer.Argument(help="An instance from `naru service restored`.")],
    spec: SpecOption = None,
    yes: YesOption = False,
) -> None:
    """Stop an instance and delete its data."""
    environment = running(spec)
    one = environment.beside.find(name)
    talk.confirm(f"delete restored instance {one.name}, which shows {one.target}", yes=yes)
    with noted(environment, "restored instance removed") as (run, _):
        run.event("backup.removed", f"{name}: {one.target}")
        environment.beside.remove(name)


@app.command("bring-back")
def bring_back(
    name: Annotated[str, typer.Argument(help="An instance from `naru service restored`.")],
    table: Annotated[list[str], typer.Argument(help="Tables, as schema.table; parents first.")],
    database: Annotated[
        str | None, typer.Option("--database", help="By default the service's database.")
    ] = None,
    spec: SpecOption = None,
    yes: YesOption = False,
    json: JsonOption = False,
) -> None:
    """Copy back into the service the rows that it has lost since, and change no other.

    A row counts as lost when the service has none with its primary key. Rows written or changed
    since then stay as they are. All tables in one transaction.
    """
    from naru.backup import bring_rows_back, count_lost_rows

    environment = running(spec)
    past = environment.beside.dsn(name, database)
    service = environment.service.writer(database)
    for one, rows in count_lost_rows(past, service, table).items():
        talk.say(f"{one}: {rows} rows are lost")
    talk.confirm(f"copy them back into {service}", yes=yes)
    with noted(environment, "rows brought back") as (run, _):
        done = bring_rows_back(past, service, table)
        run.event("backup.rows", ", ".join(f"{one}: {rows}" for one, rows in done.items()))
    if json:
        talk.put_json(done)
        return
    for one, rows in done.items():
        talk.put(f"{one}\t{rows}")
