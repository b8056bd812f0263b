"""`naru up`, `naru down`, `naru status`: the ground and all that runs on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from naru.cli import talk
from naru.cli.alarms import put_alarms
from naru.cli.options import JsonOption, SpecOption, YesOption, spec_of
from naru.system.units import human_seconds

if TYPE_CHECKING:
    from naru.ground import GroundStatus


def up(
    spec: SpecOption = None,
    bare: Annotated[
        bool, typer.Option("--bare", help="Without the old server's database and its content.")
    ] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Show what a changed naru.toml would do, and do nothing.")
    ] = False,
    now: Annotated[
        bool, typer.Option("--now", help="Restart members without waiting for the window.")
    ] = False,
    keep_sessions: Annotated[
        bool,
        typer.Option(
            "--keep-sessions", help="Leave sessions open whose address is not let in any more."
        ),
    ] = False,
    yes: YesOption = False,
    json: Annotated[
        bool, typer.Option("--json", help="With --plan: the plan as one JSON document on stdout.")
    ] = False,
) -> None:
    """Bring the environment up: old server with its content, service, pool.

    Harmless when it is up; after a power cut everything comes back with its data. When
    naru.toml changed, the difference is shown, asked about, and nothing else is touched.
    """
    from naru.cli.changing import asks, show_outsiders, show_plan
    from naru.cli.progress import observer_for
    from naru.ground import state_folder
    from naru.lab import Environment, fill
    from naru.service import window_of

    declared, file = spec_of(spec)
    environment = Environment(declared, state_folder(file))
    planned, outsiders = environment.plan(), environment.outsiders()
    if not (plan and json):
        show_plan(planned, window_of(declared), now=now)
        show_outsiders(outsiders, keep=keep_sessions)
    if plan:
        if json:
            talk.put_json({
                **planned.to_json(), "sessions_that_end": [] if keep_sessions else
                [one.to_json() for one in outsiders],
            })  # fmt: skip
        elif not planned.changes and not planned.waiting and not outsiders:
            talk.say("nothing to change")
        raise typer.Exit(1 if planned.refused else 0)
    planned.must_be_possible()
    if asks(planned) or (outsiders and not keep_sessions):
        talk.confirm("change this", yes=yes)
    with observer_for() as observer:
        environment.up(observer, plan=planned, now=now, keep_sessions=keep_sessions)
        if not bare:
            fill(environment, observer)
    source, pool = environment.source.dsn(), environment.pool.address
    talk.say(f"old server  {source}")
    talk.say(
        f"service     {environment.service.writer()} (reads: port {declared.service.read_port})"
    )
    talk.say(f"pool        {pool[0]}:{pool[1]}")
    talk.say(f"passwords   {environment.ground.secrets.passfile} (PGPASSFILE)")
    talk.say(f"authority   {environment.ground.certificates.authority} (PGSSLROOTCERT)")


def down(
    spec: SpecOption = None,
    purge: Annotated[bool, typer.Option("--purge", help="Remove all data as well.")] = False,
    yes: YesOption = False,
) -> None:
    """Stop everything and leave nothing running; data stay unless --purge."""
    from naru.cli.progress import observer_for
    from naru.ground import state_folder
    from naru.lab import Environment

    declared, file = spec_of(spec)
    folder = state_folder(file)
    if not folder.exists():
        talk.say("nothing is up")
        return
    if purge:
        talk.confirm(f"remove all data of this environment in {folder}", yes=yes)
    with observer_for() as observer:
        Environment(declared, folder).down(observer, purge=purge)


def status(spec: SpecOption = None, json: JsonOption = False) -> None:
    """Hosts, addresses and programs of the environment. Exit code 1 when it is not up, or when its
    clients can only read because the data are full.
    """
    from naru.ground import open_ground, state_folder
    from naru.service import alarms_of_ground, read_storage

    declared, file = spec_of(spec)
    ground = open_ground(declared, state_folder(file))
    found, storage = ground.status(), read_storage(ground)
    alarms = alarms_of_ground(found, storage)
    if json:
        talk.put_json({
            **found.to_json(), "storage": storage.to_json() if storage else None,
            "alarms": [one.to_json() for one in alarms],
        })  # fmt: skip
    else:
        _print(found)
        if found.up and storage is not None and storage.level != "fine":
            talk.put(storage.sentence)
        put_alarms(alarms)
    full = storage is not None and storage.read_only
    raise typer.Exit(0 if found.up and not full else 1)


def _print(found: GroundStatus) -> None:
    state = "up" if found.up else "unsupervised" if found.orphaned else "down"
    talk.put(f"environment {found.environment} is {state}, network {found.network or 'none yet'}")
    if found.orphaned:
        talk.put(
            f"the supervisor has died; {len(found.programs)} programs go on without it, and "
            "nothing starts them again: `naru up` takes them over as they run"
        )
    talk.put(f"state in {found.folder}")
    hosts = Table("host", "lab address", "here", "listens", box=None)
    for host in found.hosts:
        ports = (f"{one.purpose} {one.port} {'✓' if one.listening else '-'}" for one in host.ports)
        hosts.add_row(host.name, host.lab_address, host.address or "-", ", ".join(ports))
    talk.put_table(hosts)
    if not found.programs:
        return
    programs = Table("program", "state", "pid", "up for", "log", box=None)
    for one in found.programs:
        age = human_seconds(one.uptime_seconds) if one.uptime_seconds is not None else "-"
        programs.add_row(one.name, one.state, str(one.pid or "-"), age, str(one.log))
    talk.put_table(programs)
