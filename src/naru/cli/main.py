"""The command `naru`: its commands, and what an error looks like."""

from __future__ import annotations

import sys

import typer

from naru.cli import talk
from naru.errors import NaruError

app = typer.Typer(
    name="naru",
    help="Bring a running PostgreSQL across into a highly available service, and run it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def main() -> None:
    """Run the command line; errors of ours become one message and an exit code."""
    try:
        app()
    except NaruError as error:
        talk.complain(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        talk.say("interrupted; run the same command again to go on")
        sys.exit(4)
