"""pg_dump and pg_restore: which one to take, and running it with an eye on how far it is."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from naru.errors import MissingToolError, NaruError, ProcessError, UsageError
from naru.postgres import Dsn, Installation
from naru.system import run, spawn

METHODS = ("zstd", "lz4", "gzip", "none")

_LOOK_EVERY = 0.5
_END_SECONDS = 10.0
_FIRST_WITH_METHODS = 16
_LAST_WORDS = 12
_CHATTER = re.compile(
    r"pg_(dump|restore): (?!error|detail|hint|warning|fatal|query|from TOC|while)", re.IGNORECASE
)


def choose_dump_programs(
    installations: Sequence[Installation],
    source_major: int,
    method: str | None,
    can: Callable[[Installation, str], bool],
) -> tuple[Installation, str]:
    """The pg_dump to use, and how it compresses: `method`, or by default zstd, else gzip.

    The oldest that can read the source: an archive goes to servers from its program's
    version on. Raises MissingToolError when there is none, or none that can compress so.
    """
    if method is not None and method not in METHODS:
        raise UsageError(f"compress by {method}?", remedy=f"one of {', '.join(METHODS)}")
    fit = sorted(one for one in installations if one.major >= source_major)
    if not fit:
        have = ", ".join(str(one.major) for one in installations) or "none"
        raise MissingToolError(
            f"pg_dump {source_major} or newer is needed for the source; installed: {have}",
            remedy=f"apt-get install postgresql-{source_major}, or give --postgres FOLDER",
        )
    if method is None:
        return fit[0], "zstd" if can(fit[0], "zstd") else "gzip"
    able = [one for one in fit if can(one, method)]
    if not able:
        raise MissingToolError(
            f"no pg_dump here compresses by {method}; there is {', '.join(map(str, fit))}",
            remedy=f"take --compress gzip, or install PostgreSQL {_FIRST_WITH_METHODS} or newer",
        )
    return able[0], method


def can_compress(programs: Installation, method: str) -> bool:
    """True if this pg_dump was built with `method`."""
    if method in ("gzip", "none"):
        return True
    if programs.major < _FIRST_WITH_METHODS:
        return False
    try:
        built = run([programs.tool("pg_config"), "--configure"], seconds=10).stdout
    except NaruError:
        return True  # without pg_config it will be seen when pg_dump begins
    return f"--with-{method}" in built


def compress_option(programs: Installation, method: str) -> str:
    """`method` as this version of pg_dump is told."""
    if programs.major >= _FIRST_WITH_METHODS:
        return f"--compress={method}"
    return "--compress=0" if method == "none" else "--compress=6"


def choose_restore_programs(
    installations: Sequence[Installation], program_major: int
) -> Installation:
    """The oldest pg_restore that can read what pg_dump `program_major` has written."""
    fit = [one for one in installations if one.major >= program_major]
    if not fit:
        have = ", ".join(str(one.major) for one in installations) or "none"
        raise MissingToolError(
            f"pg_restore {program_major} or newer is needed for this dump; installed: {have}",
            remedy=f"install PostgreSQL {program_major}'s client programs, or --postgres FOLDER",
        )
    return min(fit)


def environment(
    dsn: Dsn, purpose: str, settings: Mapping[str, str] | None = None
) -> dict[str, str]:
    """What a client program needs to reach `dsn`: its secrets, and words that we can read."""
    words = " ".join(f"-c {key}={value}" for key, value in (settings or {}).items())
    options = f"{dsn.parameters.get('options', '')} {words}".strip()
    return {
        **dsn.environment(),
        **({"PGOPTIONS": options} if options else {}),
        "PGAPPNAME": f"naru: {purpose}",
        "LC_ALL": "C",
    }


def run_watched(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    on_line: Callable[[str], None],
    look: Callable[[], None],
) -> None:
    """Run a program to its end, however long it takes; each line it says goes to `on_line`.

    `look` is called about twice a second. The program and what it has forked end with
    the block, also when that is interrupted. Raises ProcessError with its last words.
    """
    words: deque[str] = deque(maxlen=_LAST_WORDS)
    process = spawn(argv, env=env, stdout=subprocess.DEVNULL, new_session=True)

    def listen() -> None:
        assert process.stderr is not None
        for raw in process.stderr:
            line = raw.decode(errors="replace").rstrip("\n")
            if not _CHATTER.match(line):
                words.append(line)
            on_line(line)

    listener = threading.Thread(target=listen, name="naru-listen", daemon=True)
    listener.start()
    try:
        code = _await(process, look)
    except BaseException:
        _end(process)
        raise
    listener.join(_END_SECONDS)
    if code != 0:
        how = f"ended with code {code}" if code > 0 else f"was ended by {_signal(-code)}"
        said = " ".join(" ".join(words).split())
        raise ProcessError(f"{Path(str(argv[0])).name} {how}: {said or 'it said nothing'}")


def _await(process: subprocess.Popen[bytes], look: Callable[[], None]) -> int:
    while True:
        try:
            return process.wait(timeout=_LOOK_EVERY)
        except subprocess.TimeoutExpired:
            look()


def _signal(number: int) -> str:
    with contextlib.suppress(ValueError):
        return signal.Signals(number).name
    return f"signal {number}"


def _end(process: subprocess.Popen[bytes]) -> None:
    for how in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, how)
        try:
            process.wait(timeout=_END_SECONDS)
        except subprocess.TimeoutExpired:
            continue
        return
