"""Watching what a comparison's snapshots hold back, and giving them back when it is too much."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Self

import psycopg

from naru.errors import NaruError, StoppedError
from naru.postgres import Connection, fetch_one
from naru.system import SILENT, Observer
from naru.verify.held import Beginnings, Held, HeldLimit, too_much
from naru.verify.relations import query
from naru.verify.side import Side

_HELD = query("held.sql")
_FIRST = 0.5
"""A comparison that is soon over needs nobody to look."""
_EVERY = 1.0
_JOIN_SECONDS = 5.0
_SHOWN_FROM = 10.0
"""A snapshot that was held for less is not worth a word."""


class Holdings:
    """Looks once a second, in a thread of its own, while the block runs.

    `tell` hears what is held back now; what cannot be seen is noted to the observer. Once a bound
    of `limits` is passed the sides are told to give their snapshots back.
    """

    def __init__(
        self, sides: tuple[Side, Side], limits: Sequence[HeldLimit], observer: Observer = SILENT
    ) -> None:
        self.tell: Callable[[str], None] = lambda _: None
        self._limits = limits
        self._watched = tuple(_Watched(side, observer) for side in sides)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True, name="verify-held")

    @property
    def most(self) -> dict[str, Held]:
        """The most that was held back so far, by the sides' names."""
        return {one.side.name: one.most for one in self._watched}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._thread.join(_JOIN_SECONDS)

    def _watch(self) -> None:
        reached: str | None = None
        pause = _FIRST
        while not self._closed.wait(pause):
            pause = _EVERY
            held = {one.side.name: one.look() for one in self._watched}
            self.tell(_words(held))
            reached = reached or too_much(held, self._limits)
            if reached:
                for one in self._watched:
                    one.side.give_back(reached)


class _Watched:
    """One side, over a session of its own."""

    def __init__(self, side: Side, observer: Observer) -> None:
        self.side = side
        self._observer = observer
        self._told = False
        self.most = Held()
        self._connection: Connection | None = None
        self._beginnings = Beginnings()
        self._given: float | None = None

    def look(self) -> Held:
        """What is held back now; the most so far where the server could not be asked.

        Who reads rows meets the same server, and says what is wrong with it.
        """
        try:
            found = self._ask()
        except (StoppedError, psycopg.Error):
            return self.most
        except NaruError as error:
            if not self._told:
                self._told = True
                self._observer.note(
                    f"what the snapshot on the {self.side.name} holds back cannot be seen:"
                    f" {error.message}"
                )
            return self.most
        self.most = self.most.or_more(found)
        return found

    def _ask(self) -> Held:
        if self._connection is None:
            self._connection = self.side.connect()
        pids = self.side.pids_at_work()
        begun, transactions, now, counter = fetch_one(self._connection, _HELD, [pids])
        if self.side.snapshot:
            # Somebody else holds it, since before anybody read by it.
            self._given = min([*begun, now]) if self._given is None else self._given
            begun = [self._given]
        died = self._beginnings.since(begun, counter or 0)
        return Held(max(0.0, now - min(begun)) if begun else 0.0, died, transactions)


def _words(held: dict[str, Held]) -> str:
    return "; ".join(
        f"{name}: {one.words()}" for name, one in held.items() if one.seconds >= _SHOWN_FROM
    )
