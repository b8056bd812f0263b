"""Silence counts when it lasts, and when the server itself says that it waits."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from naru.errors import DeadlineError
from naru.postgres import Vigil, vigil
from naru.system import Deadline


class Server:
    """What it answers to each question, and how often it was asked."""

    def __init__(self, *answers: bool | Exception) -> None:
        self.answers = list(answers)
        self.asked = 0

    def __call__(self, *_: object) -> bool:
        self.asked += 1
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    yield now


def watching(monkeypatch: pytest.MonkeyPatch, server: Server) -> Vigil:
    monkeypatch.setattr(vigil, "_ask", server)
    return Vigil.of_backend("host=nowhere", 42)


def test_nobody_is_asked_before_the_silence_has_lasted(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server()
    one = watching(monkeypatch, server)
    clock[0] += vigil.SILENT_SECONDS - 1
    one.check()
    one.heard()
    clock[0] += vigil.SILENT_SECONDS - 1
    one.check()
    assert server.asked == 0


def test_a_server_that_works_is_waited_for_as_long_as_it_takes(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(*[True] * 10)
    one = watching(monkeypatch, server)
    for _ in range(10):
        clock[0] += vigil.SILENT_SECONDS
        one.check()
    assert server.asked == 10


def test_an_answer_may_be_on_its_way_but_not_twice(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = watching(monkeypatch, Server(False, True, False, False))
    clock[0] += vigil.SILENT_SECONDS
    one.check()
    clock[0] += vigil.AGAIN_SECONDS
    one.check()
    clock[0] += vigil.SILENT_SECONDS
    one.check()
    clock[0] += vigil.AGAIN_SECONDS
    with pytest.raises(vigil.SilentError, match="gone silent"):
        one.check()


def test_a_server_that_cannot_be_asked_is_silent(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = watching(monkeypatch, Server(psycopg.OperationalError("timeout expired\nmore")))
    clock[0] += vigil.SILENT_SECONDS
    with pytest.raises(vigil.SilentError, match=r"cannot be asked: timeout expired$"):
        one.check()


def test_a_deadline_ends_the_wait_whatever_the_server_does(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = watching(monkeypatch, Server(True))
    one.until = Deadline(5, "the switch")
    clock[0] += 4
    one.check()
    clock[0] += 2
    with pytest.raises(DeadlineError, match="the switch"):
        one.check()
