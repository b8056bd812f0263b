"""The environment's passwords: made once, kept in files that only the account can read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from naru.postgres import generate_password
from naru.system import Account, private_folder, write_atomically


class Secrets:
    """A folder of 0600 files, one for each password, and libpq's passfile for all servers."""

    def __init__(self, folder: Path, account: Account) -> None:
        self._folder = folder
        self._account = account

    @property
    def passfile(self) -> Path:
        """What goes into a Dsn, instead of a password."""
        return self._folder / "passfile"

    def password(self, name: str, given: str | None = None) -> str:
        """The password called `name`: `given` if there is one, else the kept one, else new."""
        path = self._folder / name
        if given is None and path.exists():
            return path.read_text().rstrip("\n")
        word = given or generate_password()
        self._write(path, word + "\n")
        return word

    def kept(self, name: str) -> str | None:
        """The password called `name` that is kept; None when there is none yet."""
        path = self._folder / name
        return path.read_text().rstrip("\n") if path.exists() else None

    def remember(
        self, places: Iterable[tuple[str, int]], user: str, password: str, database: str = "*"
    ) -> None:
        """Let `passfile` log `user` in at each host and port."""
        keys = {
            ":".join(_escaped(part) for part in (host, str(port), database, user)): password
            for host, port in places
        }
        lines = self.passfile.read_text().splitlines() if self.passfile.exists() else []
        kept = [line for line in lines if not any(line.startswith(f"{key}:") for key in keys)]
        fresh = [f"{key}:{_escaped(word)}" for key, word in keys.items()]
        if lines != kept + fresh:
            self._write(self.passfile, "\n".join(kept + fresh) + "\n")

    def _write(self, path: Path, content: str) -> None:
        private_folder(self._folder, owner=self._account)
        write_atomically(path, content, mode=0o600, owner=self._account)


def _escaped(part: str) -> str:
    return part.replace("\\", "\\\\").replace(":", "\\:")
