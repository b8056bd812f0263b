"""The command `naru`: its commands, and what an error looks like."""

from __future__ import annotations

import errno
import logging
import signal
import sys
from types import FrameType
from typing import Annotated, NoReturn

import typer

from naru import __version__
from naru.cli import drill, environment, service, talk, verify
from naru.cli.demo import demo
from naru.cli.doctor import doctor
from naru.cli.init import init
from naru.cli.interrupt import Interrupted
from naru.cli.lag import lag
from naru.cli.migrate import migrate
from naru.cli.probe import probe
from naru.cli.report import report
from naru.errors import NaruError

app = typer.Typer(
    name="naru",
    help="Bring a running PostgreSQL across into a highly available service, and run it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(init)
app.command()(doctor)
app.command()(environment.up)
app.command()(environment.down)
app.command()(environment.status)
app.add_typer(service.app, name="service")
app.add_typer(drill.app, name="drill")
app.add_typer(verify.app)
app.command()(lag)
app.command()(probe)
app.command()(report)
app.add_typer(migrate)
app.command()(demo)


def _print_version(wanted: bool) -> None:
    if wanted:
        talk.put(f"naru {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Say which version this is."
        ),
    ] = False,
) -> None:
    """Bring a running PostgreSQL across into a highly available service, and run it."""


_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO}


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    signal.signal(number, signal.SIG_DFL)
    raise Interrupted


def _unforeseen(error: Exception) -> NaruError:
    state = getattr(error, "sqlstate", None)
    said = " ".join(str(error).split())
    return NaruError(
        f"a database refused what naru asked: {said}" + (f" (SQLSTATE {state})" if state else ""),
        remedy="look at that server's log; running the same command again is safe",
        sqlstate=state,
    )


def _unusable(error: OSError) -> NaruError:
    if error.filename is None:
        return NaruError(
            f"a file could not be written: {error.strerror}",
            remedy="make room where naru keeps its state and its output, and in the temporary"
            " folder; then run the same command again",
        )
    return NaruError(
        f"{error.filename}: {error.strerror}",
        remedy="name another place, or see that it is there and yours; as root where naru up was",
    )


def main() -> None:
    """Run the command line; errors of ours become one message and an exit code."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    # What it could say of a connection that broke stands in the error that is raised.
    logging.getLogger("psycopg").addHandler(logging.NullHandler())
    try:
        app()
    except NaruError as error:
        talk.complain(error)
        sys.exit(error.exit_code)
    except OSError as error:
        if error.filename is None and error.errno not in _FULL:
            raise
        talk.complain(_unusable(error))
        sys.exit(NaruError.exit_code)
    except Exception as error:
        if not type(error).__module__.startswith(("psycopg", "sqlite3")):
            raise
        # A driver's error that nobody foresaw: still a sentence, and the SQLSTATE.
        talk.complain(_unforeseen(error))
        sys.exit(NaruError.exit_code)
    except Interrupted:
        talk.say("interrupted; run the same command again to go on")
        sys.exit(4)
