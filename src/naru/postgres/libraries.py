"""Libraries that a server loads when it starts, and which of them an installation lacks."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from naru.postgres.installation import Installation
from naru.system import run

PRELOADING = frozenset({
    "shared_preload_libraries", "session_preload_libraries", "local_preload_libraries",
})  # fmt: skip
"""The settings that name such libraries."""

_OWN = "$libdir/"
_SECONDS = 20


def missing_libraries(installation: Installation, value: str) -> tuple[str, ...]:
    """Those of the libraries in `value`, a list as PostgreSQL reads it, that are not there: a
    server that is told of one does not start.

    None where the installation does not tell where its libraries are.
    """
    folder = _library_folder(installation)
    names = (word.strip().strip('"') for word in value.split(","))
    return tuple(name for name in names if name and not _is_there(name, folder))


def _is_there(name: str, folder: Path | None) -> bool:
    plain = name.removeprefix(_OWN)
    if "/" in plain:
        found = Path(plain)
        return found.is_file() or found.with_name(f"{found.name}.so").is_file()
    return folder is None or any((folder / f"{plain}{end}").is_file() for end in ("", ".so"))


@cache
def _library_folder(installation: Installation) -> Path | None:
    home = installation.bin.parent
    folders = [home / "lib", home / "lib" / "postgresql"]
    asked = installation.bin / "pg_config"
    if asked.is_file():
        folders.insert(0, Path(run([asked, "--pkglibdir"], seconds=_SECONDS).stdout.strip()))
    # Every server has it: standbys are copied by it.
    return next((one for one in folders if (one / "libpqwalreceiver.so").is_file()), None)
