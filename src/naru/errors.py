"""The error tree: one root, shallow, each leaf with the exit code it ends a command with.

An error says what happened and to which object; its remedy says what to do next.
Exit codes are a contract: 1 the answer is no, 2 wrong use, 3 cannot reach or not
permitted, 4 stopped half-way and resumable.
"""

from __future__ import annotations


class NaruError(Exception):
    """Root of everything Naru raises on purpose.

    `message` names the object and what happened to it; `remedy` is the next action
    for a tired person at night; `sqlstate` is kept where a server gave one.
    """

    exit_code = 3

    def __init__(
        self, message: str, *, remedy: str | None = None, sqlstate: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.sqlstate = sqlstate

    def __str__(self) -> str:
        return f"{self.message}\n  → {self.remedy}" if self.remedy else self.message


class RefusedError(NaruError):
    """The answer is no: databases differ, a gate is shut, a promise broke."""

    exit_code = 1


class UsageError(NaruError):
    """Wrong use of a command: an argument, an order of steps."""

    exit_code = 2


class SpecError(UsageError):
    """naru.toml is wrong; the message carries file and line."""


class UnreachableError(NaruError):
    """A server or process does not answer."""


class NotPermittedError(NaruError):
    """The server answered, and said no to us: password, privilege, pg_hba."""


class TakenError(NaruError):
    """An address or a name that we need is held by somebody else."""


class MissingToolError(NaruError):
    """A program or package that this work needs is not installed."""


class ServerError(NaruError):
    """A server failed at something we asked of it; the SQLSTATE is kept."""


class ProcessError(NaruError):
    """A program ended with a failure; its last words are in the message."""


class DeadlineError(NaruError):
    """A wait reached its deadline; the message says what was waited for."""


class StoppedError(NaruError):
    """Work stopped half-way and can be resumed by the same command."""

    exit_code = 4
