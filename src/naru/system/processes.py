"""Running programs: as the right account, with a deadline, with their last words kept."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from naru.errors import DeadlineError, MissingToolError, ProcessError
from naru.system.account import Account

_LAST_WORDS = 2000


@dataclass(frozen=True)
class Completed:
    """How a program ended, and what it said."""

    argv: tuple[str, ...]
    code: int
    stdout: str
    stderr: str


def run(
    argv: Sequence[str | Path],
    *,
    seconds: float,
    env: Mapping[str, str] | None = None,
    account: Account | None = None,
    stdin: str | None = None,
    check: bool = True,
    cwd: Path | None = None,
) -> Completed:
    """Run a program to its end within `seconds`; `env` is added to the environment.

    Secrets go into `env` or files, never into `argv`. Raises MissingToolError,
    DeadlineError, or ProcessError (when `check`) with the end of what it said.
    """
    words = [str(word) for word in argv]
    process = spawn(
        words, env=env, account=account, cwd=cwd, stdin=subprocess.PIPE if stdin else None
    )
    try:
        out, err = process.communicate(stdin.encode() if stdin else None, timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise DeadlineError(f"{Path(words[0]).name} did not end within {seconds:g} s") from None
    except BaseException:
        process.kill()
        process.communicate()
        raise
    done = Completed(
        tuple(words), process.returncode, out.decode(errors="replace"), err.decode(errors="replace")
    )
    if check and done.code != 0:
        said = (done.stderr or done.stdout).strip()[-_LAST_WORDS:]
        raise ProcessError(f"{Path(words[0]).name} ended with code {done.code}: {said}")
    return done


def spawn(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    account: Account | None = None,
    cwd: Path | None = None,
    stdin: int | IO[Any] | None = None,
    stdout: int | IO[Any] | None = subprocess.PIPE,
    stderr: int | IO[Any] | None = subprocess.PIPE,
    new_session: bool = False,
) -> subprocess.Popen[bytes]:
    """Start a program, as `account` when we are root. The caller ends it.

    Raises MissingToolError when the program does not exist or may not be run.
    """
    as_other = account is not None and os.geteuid() == 0 and not account.is_current
    identity: dict[str, Any] = {}
    home: dict[str, str] = {}
    if as_other and account is not None:
        identity = {
            "user": account.uid,
            "group": account.gid,
            "extra_groups": os.getgrouplist(account.name, account.gid),
        }
        # libpq fails over certificates in a home that it may not enter.
        home = {"HOME": pwd.getpwuid(account.uid).pw_dir}
    try:
        return subprocess.Popen(
            [str(word) for word in argv],
            env={**os.environ, **home, **(env or {})},
            # An unprivileged account may not be able to stand where root stands.
            cwd=cwd or ("/" if as_other else None),
            stdin=stdin if stdin is not None else subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=new_session,
            **identity,
        )
    except (FileNotFoundError, PermissionError) as error:
        who = f" as {account.name}" if as_other and account else ""
        raise MissingToolError(
            f"cannot run {argv[0]}{who}: {error.strerror}", remedy="see `naru doctor`"
        ) from error


def is_alive(pid: int) -> bool:
    """True while a process with this id exists and is not a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}


def arguments_of(pid: int) -> list[str]:
    """The argument list of a running process; empty when it is gone."""
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return []
    return [word.decode(errors="replace") for word in raw.split(b"\0") if word]
