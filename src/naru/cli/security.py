"""`naru service certificates`, `naru service access`: what secures an environment's connections."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.table import Table

from naru.cli import talk
from naru.cli.options import JsonOption, SpecOption, YesOption, spec_of
from naru.errors import UsageError

if TYPE_CHECKING:
    from naru.ground import Admission, Allowed, Certificate, Ground, OpenSession
    from naru.lab.environment import Environment


def certificates(
    renew: Annotated[
        bool, typer.Option("--renew", help="Issue all anew and put them in use; no session ends.")
    ] = False,
    ca: Annotated[
        bool, typer.Option("--ca", help="With --renew: by a new authority, vouched for by the old.")
    ] = False,
    export: Annotated[
        Path | None,
        typer.Option("--export", metavar="FILE", help="Write what clients check servers by."),
    ] = None,
    spec: SpecOption = None,
    json: JsonOption = False,
) -> None:
    """The environment's certificates: who has one, for which names, until when.

    Exit code 1 when one has expired.
    """
    if ca and not renew:
        raise UsageError("--ca is for --renew alone", remedy="add --renew")
    if renew:
        _renew(spec, with_authority=ca)
    ground = ground_of(spec)
    found = ground.certificates.list()
    if not found:
        raise UsageError("there are no certificates yet", remedy="run `naru up`")
    if export is not None:
        export.write_bytes(ground.certificates.authority.read_bytes())
        talk.say(f"written: {export}; clients take it as sslrootcert, with sslmode=verify-full")
    if json:
        talk.put_json({
            "authority": str(ground.certificates.authority),
            "certificates": [one.to_json() for one in found],
        })  # fmt: skip
    else:
        _print(ground, found)
    raise typer.Exit(1 if any(one.state == "expired" for one in found) else 0)


def _renew(spec: Path | None, *, with_authority: bool) -> None:
    from naru.ground import state_folder
    from naru.lab.environment import Environment

    declared, file = spec_of(spec)
    environment = Environment(declared, state_folder(file))
    environment.must_be_up()
    names = environment.renew(with_authority=with_authority)
    by = " by a new authority; export it for clients again" if with_authority else ""
    talk.say(f"renewed{by}: {', '.join(names)}")


def ground_of(spec: Path | None) -> Ground:
    """The ground of `--spec`, whether it is up or not."""
    from naru.ground import open_ground, state_folder

    declared, file = spec_of(spec)
    return open_ground(declared, state_folder(file))


def _print(ground: Ground, found: tuple[Certificate, ...]) -> None:
    talk.put(f"authority {ground.certificates.authority}")
    table = Table("certificate", "used by", "names", "addresses", "until", "days left", box=None)
    for one in found:
        state = "" if one.state == "ok" else f" {one.state.upper()}"
        table.add_row(
            one.name, one.used_by, ", ".join(one.names) or one.subject, ", ".join(one.addresses),
            one.ends.strftime("%Y-%m-%d"), f"{one.days_left}{state}",
        )  # fmt: skip
    talk.put_table(table)


def certificate_status(ground: Ground) -> dict[str, Any] | None:
    """For `naru service status`: how long they last, and in a sentence what is due."""
    from naru.ground import worst_of

    found = ground.certificates.list()
    if not found:
        return None
    return {"days_left": min(one.days_left for one in found), "trouble": worst_of(found)}


def access(
    address: Annotated[
        str | None, typer.Argument(help="An address: is it let in, and by which entry?")
    ] = None,
    end: Annotated[
        bool, typer.Option("--end", help="End sessions whose address is not let in any more.")
    ] = False,
    spec: SpecOption = None,
    yes: YesOption = False,
    json: JsonOption = False,
) -> None:
    """From which addresses clients are let in, and who is connected from where.

    Allowed is what `service.allowed` of naru.toml says. After a change there `naru up` applies it,
    without a restart, and ends the sessions that it lets in no more. Exit code 1: ADDRESS is
    refused, or somebody is connected who would be.
    """
    from naru.ground import admission, outside, state_folder
    from naru.lab.environment import Environment

    if end and address is not None:
        raise UsageError("--end is for all that are not let in", remedy="leave the address out")
    declared, file = spec_of(spec)
    environment = Environment(declared, state_folder(file))
    ground = environment.ground
    allowed = ground.allowed()
    if address is not None:
        _say_admission(address, admission(address, allowed, ground.address), json=json)
    in_force = environment.allowed_in_force()
    if end:
        _end_outsiders(environment, in_force=in_force, yes=yes)
    sessions = environment.sessions()
    outsiders = outside(sessions, allowed)
    if json:
        talk.put_json({
            "allowed": [one.to_json() for one in allowed],
            "in_force": in_force,
            "sessions": [
                {**one.to_json(), "allowed": one not in outsiders} for one in sessions
            ],
        })  # fmt: skip
    else:
        _print_access(allowed, sessions, outsiders)
        if not in_force:
            talk.say("service.allowed of naru.toml is not in force yet: run `naru up`")
    raise typer.Exit(1 if outsiders else 0)


def _say_admission(address: str, found: Admission, *, json: bool) -> NoReturn:
    if json:
        talk.put_json(found.to_json())
    elif found.allowed:
        talk.put(f"{address} is let in, by {found.by}")
    else:
        talk.put(f"{address} is refused: no entry of service.allowed has it")
    raise typer.Exit(0 if found.allowed else 1)


def _end_outsiders(environment: Environment, *, in_force: bool, yes: bool) -> None:
    from naru.lab.admitting import told

    environment.must_be_up()
    if not in_force:
        raise UsageError(
            "service.allowed of naru.toml is not in force yet, so who is ended would come back",
            remedy="run `naru up`, which applies it and ends them",
        )
    there = environment.outsiders()
    if not there:
        talk.say("nobody is connected who would not be let in")
        return
    talk.confirm(f"end these sessions, open transactions too: {told(there)}", yes=yes)
    talk.say(f"ended: {told(environment.end_outsiders())}")


def _print_access(
    allowed: Sequence[Allowed], sessions: Sequence[OpenSession], outsiders: Sequence[OpenSession]
) -> None:
    table = Table("allowed", "here", box=None)
    for one in allowed:
        table.add_row(one.declared, one.network)
    talk.put_table(table)
    counts = Counter((one.address, one.door, one in outsiders) for one in sessions)
    if not counts:
        return
    table = Table("open from", "at", "sessions", "", box=None)
    for (address, door, is_outside), count in sorted(counts.items()):
        state = "NOT LET IN ANY MORE" if is_outside else ""
        table.add_row(address, door, str(count), state)
    talk.put_table(table)
    if outsiders:
        talk.put("`naru service access --end` ends those that are not let in any more")
