"""A watch beside some work: it warns once, and when it has given up the work ends by its reason."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, cast

import pytest

from naru.errors import NaruError, StoppedError, UnreachableError
from naru.migrate import watch
from naru.migrate.record import Record
from naru.migrate.retention import Level, Retention
from naru.system.observer import Silent

NOBODY = cast("Record", None)


class Noting(Silent):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


class Scripted:
    """Stands for a Watch: what it sees, look by look; then it says that it is through."""

    def __init__(self, *seen: Level | NaruError) -> None:
        self._seen = list(seen)
        self.through = threading.Event()

    def look(self) -> Retention | None:
        if not self._seen:
            self.through.set()
            return None
        one = self._seen.pop(0)
        if isinstance(one, NaruError):
            if isinstance(one, StoppedError):
                self.through.set()
            raise one
        return Retention(one, 7, 8, f"it is {one}", "do this")

    def close(self) -> None: ...


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Scripted]:
    monkeypatch.setattr(watch, "EVERY_SECONDS", 0.001)

    def make(*seen: Level | NaruError) -> Scripted:
        script = Scripted(*seen)
        monkeypatch.setattr(watch, "Watch", lambda _: script)
        return script

    return make


def test_a_warning_is_noted_once_each_time_it_begins(scripted: Callable[..., Scripted]) -> None:
    script = scripted("ok", "warning", "warning", UnreachableError("away"), "ok", "warning")
    noting = Noting()
    with watch.watching(NOBODY, noting):
        assert script.through.wait(10)
    assert noting.notes == ["it is warning → do this"] * 2


def test_work_ends_with_the_reason_at_its_next_word(scripted: Callable[..., Scripted]) -> None:
    script = scripted("ok", StoppedError("the slots were dropped"))
    reached: list[Any] = []
    with pytest.raises(StoppedError, match="the slots were dropped"):
        with watch.watching(NOBODY, Noting()) as observer:
            assert script.through.wait(10)
            while not reached:
                observer.progress("copy", 1, 2, "bytes")


def test_an_error_that_follows_from_giving_up_is_told_as_that(
    scripted: Callable[..., Scripted],
) -> None:
    script = scripted(StoppedError("the slots were dropped"))
    with pytest.raises(StoppedError, match="the slots were dropped"):
        with watch.watching(NOBODY, Noting()) as observer:
            assert script.through.wait(10)
            while True:
                try:
                    observer.progress("copy", 1, 2, "bytes")
                except StoppedError:
                    raise UnreachableError("a slot is not there") from None


def test_work_that_ends_well_in_the_same_moment_is_not_called_done(
    scripted: Callable[..., Scripted],
) -> None:
    script = scripted(StoppedError("the slots were dropped"))
    with pytest.raises(StoppedError, match="the slots were dropped"):
        with watch.watching(NOBODY, Noting()):
            assert script.through.wait(10)
