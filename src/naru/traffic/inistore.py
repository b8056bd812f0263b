"""PgBouncer's ini file on disk: read, re-pointed, written whole with its owner and mode."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from naru.errors import NotPermittedError, UsageError
from naru.system import Account, write_atomically
from naru.traffic.inifile import includes, pointed

BACKUP_SUFFIX = ".before-naru"
"""The file as it was before the latest change stands beside it under this ending."""


@dataclass(frozen=True)
class IniStore:
    """The file with the section [databases], the user's or our own."""

    path: Path

    def read(self) -> str:
        """The text; bytes that are not UTF-8 survive `write`. Raises NotPermittedError."""
        try:
            return self.path.read_bytes().decode("utf-8", "surrogateescape")
        except OSError as error:
            raise NotPermittedError(
                f"cannot read PgBouncer's {self.path}: {error.strerror}",
                remedy="name PgBouncer's ini file, readable and writable for this account",
            ) from error

    def edited(self, database: str, host: str, port: int, dbname: str) -> str:
        """The text with `database` pointed there. Raises UsageError if it has no entry."""
        text = self.read()
        try:
            return pointed(text, database, host=host, port=port, dbname=dbname)
        except UsageError as error:
            files = ", ".join(includes(text))
            remedy = "name the ini file of this very PgBouncer"
            if files:
                remedy = f"it includes {files}: name the file that holds the entry"
            raise UsageError(f"{self.path}: {error.message}", remedy=remedy) from error

    def must_be_editable(self, database: str) -> None:
        """Raise now what `edited` and `write` would raise when time is short."""
        self.edited(database, "localhost", 5432, database)
        path = self.path.resolve()
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise self._unwritable(path, "its folder is not writable")

    def write(self, text: str, *, backup: bool = True) -> None:
        """Replace the file in one step, its owner and mode kept. Raises NotPermittedError."""
        path = self.path.resolve()
        try:
            stat = path.stat()
            owner = Account("", stat.st_uid, stat.st_gid)
            mode = stat.st_mode & 0o777
            if backup:
                beside = path.with_name(path.name + BACKUP_SUFFIX)
                write_atomically(beside, path.read_bytes(), mode=mode, owner=owner)
            data = text.encode("utf-8", "surrogateescape")
            write_atomically(path, data, mode=mode, owner=owner)
        except OSError as error:
            raise self._unwritable(path, str(error.strerror)) from error

    def _unwritable(self, path: Path, why: str) -> NotPermittedError:
        return NotPermittedError(
            f"cannot write PgBouncer's {path}: {why}",
            remedy="run as an account that may write the file and its folder"
            f" (now uid {os.geteuid()})",
        )
