"""`naru service backup`, `backups`: taking, checking, listing and deleting backups."""

from __future__ import annotations

from datetime import tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from naru.cli import talk
from naru.cli.noting import noted
from naru.cli.options import JsonOption, SpecOption, YesOption, running, spec_of
from naru.errors import NaruError, RefusedError, UsageError
from naru.system.units import human_bytes, human_seconds

if TYPE_CHECKING:
    from naru.backup import Backup, Backups, Earlier, Gap, Limits
    from naru.lab.environment import Environment

app = typer.Typer(help="Take a backup of the service now; check and delete backups.")


@app.callback(invoke_without_command=True)
def backup(
    context: typer.Context,
    name: Annotated[
        str | None,
        typer.Option("--name", help="Call it so, and leave a restore point of that name."),
    ] = None,
    incremental: Annotated[
        bool, typer.Option("--incremental", help="Only what changed since the last one.")
    ] = False,
    spec: SpecOption = None,
    json: JsonOption = False,
) -> None:
    """Take a backup of the service now, from whoever is primary, without holding anybody up.

    `naru service restore --name NAME` brings back the moment when a named one was done.
    """
    if context.invoked_subcommand is not None:
        return
    from naru.cli.progress import observer_for

    backups = with_backups(spec).backups
    with observer_for() as observer:
        done = backups.take(name=name, incremental=incremental, observer=observer)
    if json:
        talk.put_json(done.to_json())
        return
    talk.put(f"{done.kind} backup {done.id}, {human_bytes(done.size)}")
    talk.put(f"can be restored: {backups.limits().sentence(backups.zone)}")


@app.command()
def check(spec: SpecOption = None, json: JsonOption = False) -> None:
    """Barman's own tests, and the gap. Exit code 1 when something is wrong."""
    backups = with_backups(spec).backups
    tests, gap = backups.barman.check(), backups.gap()
    failed = [name for name, one in tests.items() if one["status"] != "OK"]
    if json:
        talk.put_json({"well": not failed, "tests": tests, "gap": gap.to_json()})
    else:
        for name, one in tests.items():
            hint = f" ({one['hint']})" if one.get("hint") else ""
            talk.put(f"{one['status']:<8}{name.replace('_', ' ')}{hint}")
        talk.put(gap_line(gap))
    if failed:
        raise RefusedError(
            f"not well: {', '.join(failed)}", remedy=f"see {backups.store.logs / 'barman.log'}"
        )


ClusterOption = Annotated[
    str | None,
    typer.Option("--cluster", help="Of this cluster, which a major upgrade has left."),
]


@app.command()
def delete(
    backup: Annotated[list[str] | None, typer.Argument(help="Backups, by id or name.")] = None,
    cluster: ClusterOption = None,
    everything: Annotated[
        bool, typer.Option("--all", help="With --cluster: all that was kept of it.")
    ] = False,
    spec: SpecOption = None,
    yes: YesOption = False,
) -> None:
    """Delete backups, all that builds on them, and the WAL that nothing needs any more.

    What goes, and what can be restored afterwards, is shown first.
    """
    from naru.backup import earlier_of

    if everything == bool(backup) or (everything and cluster is None):
        raise UsageError(
            "which backups?", remedy="name them by id or name, or --cluster CLUSTER --all"
        )
    environment = with_backups(spec) if cluster is None else running(spec)
    backups = environment.backups
    if cluster is not None:
        kept = earlier_of(environment.declared, environment.ground, cluster)
        if everything:
            _forget(environment, kept, yes=yes)
            return
        kept.prepare()
        backups = kept.backups
    assert backup is not None
    plan = backups.plan_deletion(backup)
    for one in (*plan.named, *plan.with_them):
        why = " (builds on one that goes)" if one in plan.with_them else ""
        talk.say(f"goes: {describe(one)}{why}")
    if plan.before is not None:
        talk.say(f"can be restored now:  {plan.before.sentence(backups.zone)}")
    talk.say(f"and afterwards:       {plan.after.sentence(backups.zone)}")
    goes = (*plan.named, *plan.with_them)
    talk.confirm(f"delete {len(goes)} backups", yes=yes)
    with noted(environment, "backups deleted") as (run, _):
        run.event("backup.deleted", ", ".join(one.id for one in goes))
        backups.delete(plan)
    talk.put(f"deleted, {human_bytes(plan.size)} freed besides the WAL")


def _forget(environment: Environment, kept: Earlier, *, yes: bool) -> None:
    size = human_bytes(kept.size)
    talk.say(f"goes: {len(kept.catalogue())} backups of {kept.name}, with their WAL, {size}")
    talk.confirm(f"delete all that was kept of cluster {kept.name}", yes=yes)
    with noted(environment, "backups deleted") as (run, _):
        run.event("backup.deleted", f"all of cluster {kept.name}")
        kept.forget()
    talk.put(f"deleted, {size} freed")


def list_backups(
    cluster: ClusterOption = None, spec: SpecOption = None, json: JsonOption = False
) -> None:
    """Backups, what can be restored from them, and the gap to the running service.

    Also what was kept of clusters that a major upgrade has left; --cluster lists one of those.
    """
    from naru.backup import earlier_backups, earlier_of

    if cluster is not None:
        environment = running(spec)
        kept = earlier_of(environment.declared, environment.ground, cluster)
        if json:
            talk.put_json(kept.to_json())
        else:
            _print_earlier(kept)
        return
    environment = with_backups(spec)
    backups = environment.backups
    before = earlier_backups(environment.declared, environment.ground)
    found, gap, limits = backups.catalogue(), backups.gap(), limits_or_why(backups)
    schedule = backups.keeping.notes()
    if json:
        talk.put_json({
            "backups": [one.to_json() for one in found],
            "limits": None if isinstance(limits, str) else limits.to_json(),
            "gap": gap.to_json(),
            "schedule": schedule,
            "earlier": [one.to_json() for one in before],
        })  # fmt: skip
        return
    if found:
        talk.put_table(_table(found, backups.zone, backups.barman.obsolete()))
    talk.put(
        limits if isinstance(limits, str) else f"can be restored: {limits.sentence(backups.zone)}"
    )
    talk.put(gap_line(gap))
    if schedule.get("trouble"):
        talk.say(f"the last backup by schedule failed: {schedule['trouble']}")
    for one in before:
        _summarise(one)


def _print_earlier(kept: Earlier) -> None:
    if kept.catalogue():
        talk.put_table(_table(kept.catalogue(), kept.backups.zone, frozenset()))
    _summarise(kept)


def _summarise(kept: Earlier) -> None:
    """A cluster that the service has left: what there is, and how it comes back."""
    many = len(kept.catalogue())
    talk.put(
        f"cluster {kept.name}, PostgreSQL {kept.place.version}, which the service has left:"
        f" {many} backup{'' if many == 1 else 's'}, {human_bytes(kept.size)} with its WAL"
    )
    try:
        limits = kept.limits()
    except NaruError as error:
        talk.put(f"  cannot be restored now: {error.message}; {error.remedy}")
        return
    talk.put(f"  can be restored, beside: {limits.sentence(kept.backups.zone)}")
    talk.put(f"  naru service restore --cluster {kept.name} --time …")


def losses(
    table: Annotated[str, typer.Argument(help="A table of the service, as schema.table.")],
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="MOMENT", help="By default since the newest backup."),
    ] = None,
    database: Annotated[
        str | None, typer.Option("--database", help="By default the service's database.")
    ] = None,
    spec: SpecOption = None,
    json: JsonOption = False,
) -> None:
    """Find which transactions deleted rows of a table, in the WAL that was received.

    The largest first. `naru service restore --before-xid` brings back the moment before one.
    """
    from naru.backup import find_losses, target_of

    environment = with_backups(spec)
    backups, service = environment.backups, environment.service.writer(database)
    zone = environment.spec.service.timezone
    begin = target_of(time=since, zone=zone).at if since is not None else None
    found = find_losses(backups, service, table, begin)
    if json:
        talk.put_json([one.to_json() for one in found])
        return
    for one in found:
        at = f"{one.at.astimezone(backups.zone):%Y-%m-%d %H:%M:%S.%f%z}"
        talk.put(f"{one.rows}\trows\ttransaction {one.xid}\t{at}")
    if not found:
        talk.say(f"no committed transaction in that WAL deleted rows of {table}")


def _table(found: tuple[Backup, ...], zone: tzinfo, obsolete: frozenset[str]) -> Table:
    table = Table("backup", "name", "kind", "ended", "bytes", "timeline", "state", box=None)
    for one in found:
        ended = f"{one.end.astimezone(zone):%Y-%m-%d %H:%M:%S}" if one.end else "-"
        state = "not needed any more" if one.id in obsolete else one.state
        table.add_row(
            one.id, one.name or "-", one.kind, ended, human_bytes(one.size), str(one.timeline),
            state,
        )  # fmt: skip
    return table


def describe(one: Backup) -> str:
    """A backup in a few words."""
    name = f" {one.name}" if one.name else ""
    ended = f", ended {one.end:%Y-%m-%d %H:%M:%S%z}" if one.end else f", {one.status.lower()}"
    return f"{one.kind} backup {one.id}{name}, {human_bytes(one.size)}{ended}"


def gap_line(gap: Gap) -> str:
    """The gap as people read it."""
    if gap.closed:
        return f"gap: none; what is committed arrives within {human_seconds(gap.seconds or 0)}"
    if gap.seconds is None:
        return "gap: unknown, the service does not tell where its WAL ends"
    return (
        f"gap: {human_seconds(gap.seconds)}, {human_bytes(gap.bytes or 0)} of WAL has not"
        " arrived; see `naru service backup check`"
    )


def limits_or_why(backups: Backups) -> Limits | str:
    """What can be restored, or why nothing can."""
    try:
        return backups.limits()
    except NaruError as error:
        return error.message


def with_backups(spec: Path | None) -> Environment:
    """The environment of `--spec`. Raises UsageError unless it is up and keeps backups."""
    from naru.ground import state_folder
    from naru.lab.environment import Environment

    declared, file = spec_of(spec)
    environment = Environment(declared, state_folder(file))
    environment.must_be_up()
    environment.backups.must_be_on()
    return environment


def backup_status(environment: Environment) -> dict[str, Any] | None:
    """The part of `naru service status` that is about backups; None where they are off."""
    if not environment.spec.backup.enabled:
        return None
    backups = environment.backups
    try:
        gap, limits = backups.gap(), limits_or_why(backups)
    except (NaruError, OSError) as error:
        return {"trouble": str(error)}
    known = None if isinstance(limits, str) else limits
    return {
        "gap": gap.to_json(),
        "limits": known.to_json() if known else None,
        "trouble": backups.keeping.notes().get("trouble"),
        "sentence": gap_line(gap)
        + (f"; can be restored: {known.sentence(backups.zone)}" if known else f"; {limits}"),
    }
