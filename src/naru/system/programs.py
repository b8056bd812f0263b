"""Where the programs of this machine are, and which package brings one that is missing."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from naru.errors import MissingToolError

PACKAGES = {
    "postgres": "postgresql",
    "etcd": "etcd-server",
    "haproxy": "haproxy",
    "pgbouncer": "pgbouncer",
    "rsync": "rsync",
    "libfaketime": "libfaketime",
    "chromium": "chromium",
}
"""Debian's package for each program that does not come with Naru itself."""

_REMEDIES = {"barman": "make setup, or an environment of its own: pipx install barman"}
"""How to get what comes neither with Naru itself nor from Debian."""

_FAKETIME = ("usr/lib/*/faketime/libfaketimeMT.so.1", "usr/lib/faketime/libfaketimeMT.so.1",
             "usr/lib64/faketime/libfaketimeMT.so.1")  # fmt: skip

# An ordinary user's PATH often lacks these.
_SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")


def find_program(name: str) -> Path | None:
    """A program beside our own interpreter, on PATH, or in the system's folders; else None."""
    folders = [str(Path(sys.prefix) / "bin"), os.environ.get("PATH", ""), *_SYSTEM_FOLDERS]
    found = shutil.which(name, path=os.pathsep.join(folders))
    return Path(found) if found else None


def need_program(name: str) -> Path:
    """As find_program. Raises MissingToolError that says how to get it."""
    found = find_program(name)
    if found is None:
        package = PACKAGES.get(name)
        remedy = f"apt-get install {package}" if package else remedy_for(name)
        raise MissingToolError(f"{name} is not installed", remedy=f"{remedy}; see `naru doctor`")
    return found


def find_faketime() -> Path | None:
    """libfaketime for programs with threads, which gives a process a clock of its own."""
    found = (one for pattern in _FAKETIME for one in sorted(Path("/").glob(pattern)))
    return next(found, None)


def remedy_for(name: str) -> str:
    """How to get a program that is no package of Debian's."""
    return _REMEDIES.get(name, "pip install 'pgnaru[lab]'")
