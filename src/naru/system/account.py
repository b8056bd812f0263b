"""Which account the servers run as.

PostgreSQL and Patroni refuse root. Started as an ordinary user, everything runs as that
user; started as root, servers run as an unprivileged account.
"""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from naru.errors import MissingToolError


@dataclass(frozen=True)
class Account:
    """A user of this machine, as servers see it."""

    name: str
    uid: int
    gid: int

    @property
    def is_current(self) -> bool:
        return self.uid == os.geteuid()

    def can_traverse(self, path: Path) -> bool:
        """True if this account may enter every folder down to `path` (mode bits only)."""
        groups = set(os.getgrouplist(self.name, self.gid))
        for folder in [*reversed(path.resolve().parents), path.resolve()]:
            if not folder.is_dir():
                continue
            stat = folder.stat()
            bit = 0o100 if stat.st_uid == self.uid else 0o010 if stat.st_gid in groups else 0o001
            if not stat.st_mode & bit:
                return False
        return True


def server_account(preferred: str = "postgres") -> Account:
    """The account that servers run as: oneself, or `preferred` when started as root.

    Raises MissingToolError when root has no such account to step down to.
    """
    if os.geteuid() != 0:
        return _account(pwd.getpwuid(os.geteuid()))
    for name in (preferred, "postgres", "nobody"):
        try:
            return _account(pwd.getpwnam(name))
        except KeyError:
            continue
    raise MissingToolError(
        f"started as root, and no account {preferred!r} exists for the servers to run as",
        remedy="adduser --system --group postgres, or start naru as an ordinary user",
    )


def operator() -> str:
    """Who runs this program, for a record of what was done: the account, and who became it."""
    try:
        name = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        name = str(os.geteuid())
    before = os.environ.get("SUDO_USER", "")
    return f"{name} (sudo by {before})" if before and before != name else name


def _account(entry: pwd.struct_passwd) -> Account:
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
