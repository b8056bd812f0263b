"""Where the state of an environment lives."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from pathlib import Path

from naru.errors import NotPermittedError
from naru.system import Account, private_folder

SYSTEM_HOME = Path("/var/lib/naru")

# A unix socket's path holds 107 bytes, and supervisor appends a dot and its pid.
_LONGEST_SOCKET = 95


def state_folder(spec_file: Path | None) -> Path:
    """The one folder for all state of the environment that `spec_file` declares.

    `.naru/` beside naru.toml, or in the current folder when there is none. For root it is
    under /var/lib/naru, named after the folder and a hash of its path, because the
    servers' account must reach it.
    """
    home = (spec_file.resolve().parent if spec_file else Path.cwd()).resolve()
    if os.geteuid() != 0:
        return home / ".naru"
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", home.name).strip("-") or "root"
    return SYSTEM_HOME / f"{name[:32]}-{_digest(home)}"


def socket_path(folder: Path, name: str, account: Account) -> Path:
    """Where the unix socket `name` of this environment stands, short enough to be bound.

    Normally under `folder`; in a private folder of the temporary directory when the path
    is too long. Raises NotPermittedError when that folder is not ours.
    """
    path = folder / "run" / name
    if len(os.fsencode(path)) <= _LONGEST_SOCKET:
        return path
    short = Path(tempfile.gettempdir()) / f"naru-{_digest(folder)}"
    if not short.exists():
        private_folder(short, owner=account)
    found = short.lstat()
    if short.is_symlink() or found.st_uid != account.uid or found.st_mode & 0o077:
        raise NotPermittedError(
            f"{short} is not a private folder of {account.name}", remedy=f"remove {short}"
        )
    return short / name


def _digest(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:10]
