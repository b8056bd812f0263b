"""Files and folders: written whole or not at all, private where they hold secrets."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from naru.system.account import Account


def write_atomically(
    path: Path, content: str | bytes, *, mode: int = 0o644, owner: Account | None = None
) -> None:
    """Write `content` to `path` so that a reader sees the old file or the new one, whole.

    The mode (and owner, when we are root) is set before the content can be seen.
    """
    data = content.encode() if isinstance(content, str) else content
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        give_to(temporary, owner)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def private_folder(path: Path, *, mode: int = 0o700, owner: Account | None = None) -> Path:
    """Make `path` (and its parents) if needed, with `mode`, owned by `owner`; return it."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(mode)
    give_to(path, owner)
    return path


def give_to(path: Path, owner: Account | None) -> None:
    """Hand `path` to `owner`; nothing to do unless we are root."""
    if owner is not None and os.geteuid() == 0:
        os.chown(path, owner.uid, owner.gid)


def discard(folder: Path) -> None:
    """Delete `folder` with all that is in it; harmless when it is not there.

    It is given another name first, so that whoever is cut off leaves nobody half of it.
    """
    gone = folder.with_name(f".{folder.name}.discarded")
    shutil.rmtree(gone, ignore_errors=True)
    # Where something is mounted it can only be emptied.
    with contextlib.suppress(OSError):
        folder.rename(gone)
    for one in (gone, folder):
        shutil.rmtree(one, ignore_errors=True)
