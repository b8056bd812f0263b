"""`naru service certificates`, `naru service access`: what secures an environment's connections."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from naru.cli import talk
from naru.cli.options import JsonOption, SpecOption, spec_of
from naru.errors import UsageError

if TYPE_CHECKING:
    from naru.ground import Certificate, Ground


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
    spec: SpecOption = None,
    json: JsonOption = False,
) -> None:
    """From which addresses clients are let in: `service.allowed` of naru.toml.

    After a change there `naru up` applies it, without a restart. With ADDRESS exit code 1 when
    it is refused.
    """
    from naru.ground import admission

    ground = ground_of(spec)
    allowed = ground.allowed()
    if address is None:
        if json:
            talk.put_json({"allowed": [one.to_json() for one in allowed]})
            return
        table = Table("allowed", "here", box=None)
        for one in allowed:
            table.add_row(one.declared, one.network)
        talk.put_table(table)
        return
    found = admission(address, allowed, ground.address)
    if json:
        talk.put_json(found.to_json())
    elif found.allowed:
        talk.put(f"{address} is let in, by {found.by}")
    else:
        talk.put(f"{address} is refused: no entry of service.allowed has it")
    raise typer.Exit(0 if found.allowed else 1)
