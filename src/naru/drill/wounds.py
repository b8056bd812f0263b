"""What a drill has done to the environment, noted before it is done, so that it can be undone.

A drill notes a wound, strikes, and heals it. Should naru be killed in between, the next drill
finds the note and heals first. Healing the same wound twice does no harm.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path

from naru.errors import NaruError
from naru.system import private_folder, write_atomically

Cure = Callable[..., None]
"""Undoes one kind of wound; takes the words that were noted with it."""

_FILE = "wounds.json"


class Wounds:
    """The wounds of one environment, oldest first, in a file of its state folder."""

    def __init__(self, folder: Path, cures: Mapping[str, Cure]) -> None:
        self._folder = folder / "drills"
        self._cures = cures

    def open(self) -> tuple[tuple[str, ...], ...]:
        """What is still to be undone: a kind, and its words."""
        try:
            noted = json.loads((self._folder / _FILE).read_text())
        except (OSError, ValueError):
            return ()
        return tuple(tuple(str(word) for word in one) for one in noted)

    def note(self, kind: str, *words: str) -> None:
        """Note a wound that is about to be made."""
        assert kind in self._cures, kind
        self._keep((*self.open(), (kind, *words)))

    def heal(self, kind: str | None = None, *words: str) -> None:
        """Undo all, or those of `kind` that begin with `words`; the newest first.

        What cannot be undone stays noted; the first such error is raised when the rest is done.
        """
        trouble: NaruError | None = None
        for wound in reversed(self.open()):
            if kind is not None and wound[: 1 + len(words)] != (kind, *words):
                continue
            try:
                self._cures[wound[0]](*wound[1:])
            except NaruError as error:
                trouble = trouble or error
            else:
                self._forget(wound)
        if trouble is not None:
            raise trouble

    def _forget(self, wound: tuple[str, ...]) -> None:
        left = list(self.open())
        with contextlib.suppress(ValueError):
            left.remove(wound)
        self._keep(tuple(left))

    def _keep(self, wounds: tuple[tuple[str, ...], ...]) -> None:
        private_folder(self._folder)
        write_atomically(self._folder / _FILE, json.dumps(wounds, indent=1) + "\n", mode=0o600)
