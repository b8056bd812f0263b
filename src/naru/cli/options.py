"""Options that many commands have, and how they are read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from naru.lab.environment import Environment
    from naru.spec import Spec

SpecOption = Annotated[
    Path | None,
    typer.Option("--spec", metavar="FILE", help="The naru.toml to use; by default ./naru.toml."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask before a dangerous step.")]
JobsOption = Annotated[int, typer.Option(min=1, max=64, help="Workers on each side.")]


def spec_of(path: Path | None) -> tuple[Spec, Path | None]:
    """The spec that `--spec` names, else ./naru.toml, else the lab; and the file it came from.

    It reads as for the cluster that clients reach: after a major upgrade its members and its
    version are others than the file has.
    """
    from naru.ground import state_folder
    from naru.service import live_spec
    from naru.spec import find_spec, load

    file = path or find_spec()
    return live_spec(load(file), state_folder(file)), file


def running(path: Path | None) -> Environment:
    """The environment of `--spec`. Raises UsageError unless it is up."""
    from naru.ground import state_folder
    from naru.lab.environment import Environment

    declared, file = spec_of(path)
    environment = Environment(declared, state_folder(file))
    environment.must_be_up()
    return environment
