"""Which environments hold which network, so that one that is down keeps its own.

A claim is a file named after the network in a folder that all users of this machine
share, holding the environment's folder. A claim whose folder is gone counts for nothing.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path


def _home() -> Path:
    return Path(tempfile.gettempdir()) / "naru-networks"


def claimed_by_others(folder: Path) -> dict[str, str]:
    """Networks that other environments hold, and the folder of each."""
    found: dict[str, str] = {}
    with contextlib.suppress(OSError):
        for path in _home().iterdir():
            with contextlib.suppress(OSError):
                holder = path.read_text().strip()
                if holder and holder != str(folder) and os.path.lexists(holder):
                    found[path.name.replace("_", "/")] = holder
    return found


def claim(network: str, folder: Path) -> bool:
    """Claim `network`; False when another environment did so first."""
    with contextlib.suppress(OSError):
        home = _home()
        if not home.exists():
            home.mkdir(mode=0o1777, exist_ok=True)
            home.chmod(0o1777)
        path = home / network.replace("/", "_")
        if path.exists() and network not in claimed_by_others(folder):
            path.unlink()
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        except FileExistsError:
            return False
        with os.fdopen(handle, "w") as file:
            file.write(f"{folder}\n")
    return True


def release(network: str, folder: Path) -> None:
    """Give up the claim, if it is ours."""
    path = _home() / network.replace("/", "_")
    with contextlib.suppress(OSError):
        if path.read_text().strip() == str(folder):
            path.unlink()
