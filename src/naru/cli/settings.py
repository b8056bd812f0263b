"""`naru service settings` and `audit`: what is in force and why; who did what."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from naru.cli import talk
from naru.cli.options import JsonOption, SpecOption, running
from naru.errors import UsageError

if TYPE_CHECKING:
    from naru.lab.environment import Environment
    from naru.service import Setting


_NOT_OURS = frozenset({"PostgreSQL", "this session"})


def settings(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Only these settings.")
    ] = None,
    diff: Annotated[
        bool,
        typer.Option(
            "--diff", help="Only what naru.toml asks for otherwise, or what waits for a restart."
        ),
    ] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Also what PostgreSQL has by default.")
    ] = False,
    member: Annotated[
        str | None, typer.Option("--member", help="Which member to ask; by default the primary.")
    ] = None,
    spec: SpecOption = None,
    json: JsonOption = False,
) -> None:
    """Each PostgreSQL setting in force: its value, where it comes from, what it is for.

    With --diff, exit code 1 says that something differs from naru.toml.
    """
    from naru.service import settings_of

    environment = running(spec)
    asked = member or environment.service.primary().name
    found = settings_of(environment.spec, environment.service, asked)
    if names:
        wanted = {name.lower() for name in names}
        unknown = sorted(wanted - {one.name for one in found})
        if unknown:
            raise UsageError(
                f"{asked} knows no setting {', '.join(unknown)}",
                remedy="`naru service settings --all` lists those there are",
            )
        found = [one for one in found if one.name in wanted]
    elif diff:
        found = [one for one in found if one.wanted is not None or one.pending_restart]
    elif not everything:
        found = [one for one in found if one.value and one.source not in _NOT_OURS]
    if json:
        talk.put_json([one.to_json() for one in found])
    elif found:
        _print(found)
    else:
        talk.say("no difference" if diff else "nothing but what PostgreSQL has by default")
    raise typer.Exit(1 if diff and found else 0)


def _print(found: list[Setting]) -> None:
    table = Table("setting", "value", "given by", "means", box=None)
    for one in found:
        value = one.value
        if one.wanted is not None:
            value += f" (naru.toml: {one.wanted}; `naru up`)"
        if one.pending_restart:
            value += " (another value waits for a restart)"
        table.add_row(one.name, value, one.source, one.description)
    talk.put_table(table)


def audit(
    last: Annotated[int, typer.Option("--last", min=1, help="How many lines.")] = 50,
    spec: SpecOption = None,
    json: JsonOption = False,
) -> None:
    """Who connected, and who changed what and when, from the members' logs. Needs service.audit.

    By pgaudit where it is installed with the service's PostgreSQL, else by PostgreSQL's own log.
    """
    from naru.service import audited_by, read_audit

    environment = running(spec)
    service = environment.service
    lines = read_audit(((node.name, node.logs) for node in service.layout.nodes), last=last)
    if json:
        talk.put_json([one.to_json() for one in lines])
        return
    talk.say(audited_by(environment.spec, service.installation))
    if not environment.spec.service.audit:
        talk.say("  → write audit = true under [service] in naru.toml, then run `naru up`")
    for one in lines:
        who = f"{one.user}@{one.database} from {one.client}"
        talk.put(f"{one.at}  {one.member}  {who}  {one.what}")


def storage_and_maintenance(environment: Environment) -> dict[str, Any]:
    """What `naru service status` adds: how full, by what audited, when maintained."""
    from naru.service import audited_by, window_of

    found = environment.service.storage()
    window = window_of(environment.spec)
    return {
        "storage": found.to_json() if found else None,
        "audit": audited_by(environment.spec, environment.service.installation),
        "maintenance": window.sentence(datetime.now(UTC)) if window else None,
        "waiting_for_restart": waiting_for_restart(environment),
    }


def waiting_for_restart(environment: Environment) -> list[str]:
    """Settings that `naru up` left for a restart."""
    from naru.service import AppliedFile

    applied = AppliedFile(environment.ground).read()
    return list(applied.waiting) if applied else []


def put_storage_and_maintenance(environment: Environment) -> None:
    """Print that for people."""
    found = environment.service.storage()
    if found is not None:
        talk.put(found.sentence)
    more = storage_and_maintenance(environment)
    talk.put(more["audit"])
    if more["maintenance"]:
        talk.put(f"maintenance window: {more['maintenance']}")
    if more["waiting_for_restart"] and any(
        one.pending_restart for one in environment.service.status().members
    ):
        talk.put(f"a restart is due for {', '.join(more['waiting_for_restart'])}")
