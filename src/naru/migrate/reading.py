"""How parts are read at the source: in one exported snapshot; by psql, if need be.

psql reads where the bytes on the socket are not the protocol itself, because they are
encrypted. Its output is taken in blocks.
"""

from __future__ import annotations

import contextlib
import fcntl
import math
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from naru.errors import NaruError, ServerError, StoppedError
from naru.migrate.dialogue import Passed
from naru.migrate.pace import Pace
from naru.migrate.parts import Part
from naru.migrate.sides import Side
from naru.postgres import KEEPALIVES, Vigil, explain
from naru.system import spawn

_BLOCK = 512 * 1024
_PIPE_BYTES = 1024 * 1024
_F_SETPIPE_SZ = 1031
_LOOK_SECONDS = 0.2
_PSQL_ENDS_SECONDS = 2.0
_NOT_IN_STATE = "55000"
"""Of a snapshot whose transaction has ended a moment ago."""

# Text must mean the same on both sides, whatever the databases' own settings are.
TEXT_SETTINGS = {
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "timezone": "UTC",
    "row_security": "off",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    # A notice would stand among the rows.
    "client_min_messages": "error",
}

BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"


@dataclass(frozen=True)
class Reader:
    """How parts are read at the source: in one exported snapshot, in the target's encoding."""

    source: Side
    psql: Path
    snapshot: str
    encoding: str
    pace: Pace = field(default_factory=Pace)
    until: float = math.inf
    """When the snapshot gets too old, in seconds since the epoch."""

    def must_last(self) -> None:
        """Raise StoppedError once the snapshot is too old."""
        if time.time() >= self.until:
            raise StoppedError(
                f"{self.source}: the copy's snapshot got as old as --longest-snapshot lets it",
                remedy="run `naru migrate start` again: whole tables stay, the others are copied"
                " under a new snapshot. The largest table has to fit into the bound: with"
                " `--longest-snapshot 0` there is none",
            )

    def set_snapshot(self) -> sql.Composed:
        return sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(self.snapshot))

    def gone(self) -> StoppedError:
        """What to raise when the snapshot cannot be taken any more."""
        return snapshot_gone(self.source)


def snapshot_gone(source: Side) -> StoppedError:
    """What to raise when the copy's snapshot cannot be taken any more."""
    return StoppedError(
        f"{source}: the snapshot of the copy is gone: the session that held it has ended",
        remedy="run `naru migrate start` again: whole tables stay, the others are copied anew",
    )


def through_psql(reader: Reader, part: Part, purpose: str, passed: Passed) -> Iterator[bytes]:
    """Blocks of COPY output from a psql of its own, in a session called `naru: purpose`.

    Raises StoppedError when the snapshot is gone.
    """
    words = [
        str(reader.psql), f"--dbname={make_conninfo('', **KEEPALIVES)}",
        "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--set", "VERBOSITY=verbose",
        "--command", BEGIN,
        "--command", reader.set_snapshot().as_string(None),
        "--command", part.query().as_string(None),
    ]  # fmt: skip
    with tempfile.TemporaryFile() as said:
        process = spawn(words, env=_environment(reader, purpose), stderr=said)
        try:
            yield from _read_all(process, passed, _vigil(reader, purpose))
            code = process.wait()
        except psycopg.OperationalError as error:
            doing = f"reading {part.table.relation}"
            raise explain(error, reader.source.dsn, doing) from error
        finally:
            _end_early(process)
        if code != 0:
            said.seek(0)
            raise _explain(said.read().decode(errors="replace"), part, reader)


def _vigil(reader: Reader, purpose: str) -> Vigil:
    """Over psql's session, which bears the same name as our own, and alone is busy."""
    return Vigil.of_program(reader.source.dsn.conninfo(), f"naru: {purpose}")


def _environment(reader: Reader, purpose: str) -> dict[str, str]:
    options = " ".join(
        f"-c {key}={value.replace(' ', chr(92) + ' ')}" for key, value in TEXT_SETTINGS.items()
    )
    dsn = reader.source.dsn.with_(options=options, application_name=f"naru: {purpose}")
    return {**dsn.environment(), "PGCLIENTENCODING": reader.encoding}


def _read_all(process: subprocess.Popen[bytes], passed: Passed, vigil: Vigil) -> Iterator[bytes]:
    if process.stdout is None:
        return
    descriptor = process.stdout.fileno()
    with contextlib.suppress(OSError):
        fcntl.fcntl(descriptor, _F_SETPIPE_SZ, _PIPE_BYTES)
    while True:
        while not select.select([descriptor], [], [], _LOOK_SECONDS)[0]:
            passed(0)
            vigil.check()
        vigil.heard()
        if not (block := os.read(descriptor, _BLOCK)):
            return
        yield block


def _end_early(process: subprocess.Popen[bytes]) -> None:
    """End psql if it still runs, which then cancels what it asked of the server."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    if process.stdout:
        process.stdout.close()
    try:
        process.wait(_PSQL_ENDS_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _explain(said: str, part: Part, reader: Reader) -> NaruError:
    line = next((line for line in said.splitlines() if line.strip()), "no message")
    line = line.removeprefix("psql: ").removeprefix("error: ")
    # By what stands there in every language: the snapshot's name, or the SQLSTATE.
    if reader.snapshot in said or f":  {_NOT_IN_STATE}: " in line:
        return reader.gone()
    return ServerError(f"{reader.source}: reading {part.table.relation} failed: {line}")
