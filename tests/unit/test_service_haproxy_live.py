"""What a HAProxy at work is told when members come and go, from what it has."""

from __future__ import annotations

from pathlib import Path

import pytest

from naru.errors import ServerError
from naru.ground import open_ground
from naru.service import haproxy, haproxy_live
from naru.service.layout import Layout, layout_of
from naru.service.membership import Membership
from naru.spec import Spec

SOCKET = Path("socket")
COLUMNS = "# pxname,svname,type,status,scur"


class Told:
    """A HAProxy with servers in the backend for writes, and what it was told."""

    def __init__(self, **status: str) -> None:
        rows = [f"writes,{name},2,{state},0" for name, state in status.items()]
        self.stats = "\n".join((COLUMNS, *rows))
        self.commands: list[str] = []
        self.refuses = ""

    def __call__(self, _: Path, command: str, seconds: float = 2.0) -> str:
        if command == "show stat":
            return self.stats
        self.commands.append(command)
        if self.refuses and command.startswith(self.refuses):
            return "no"
        answers = {"add": "New server registered.", "del": "Server deleted."}
        return answers.get(command.partition(" ")[0], "")


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    ground = open_ground(Spec(), tmp_path)
    (tmp_path / "ground.json").write_text('{"kind": "loopback", "network": "127.1.0.0/16"}')
    return layout_of(Spec(), ground, Membership.of(Spec()))


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    asked = Told(cedbserver1="UP", cedbserver2="DOWN", cedbserver3="DOWN")
    monkeypatch.setattr(haproxy, "ask", asked)
    monkeypatch.setattr(haproxy, "backends", lambda _: ("writes",))
    return asked


def having(told: Told, **status: str) -> None:
    told.stats = Told(**status).stats


def test_who_is_there_already_is_only_let_in(told: Told, layout: Layout) -> None:
    haproxy_live.converge(layout, SOCKET)
    assert told.commands == [
        f"set server writes/cedbserver{number} state ready" for number in (1, 2, 3)
    ]


def test_who_comes_counts_as_down_until_it_was_checked(told: Told, layout: Layout) -> None:
    having(told, cedbserver1="UP", cedbserver2="DOWN")
    haproxy_live.converge(layout, SOCKET)
    added, *then = told.commands[2:]
    assert added.startswith("add server writes/cedbserver3 127.1.3.43:2866 check port 8008")
    assert "check-ssl verify required ca-file" in added
    assert then == [
        "set server writes/cedbserver3 health down",
        "enable health writes/cedbserver3",
        "set server writes/cedbserver3 state ready",
    ]


def test_who_was_added_and_then_forgotten_is_let_in_after_a_check(
    told: Told, layout: Layout
) -> None:
    having(told, cedbserver1="UP", cedbserver2="DOWN", cedbserver3="MAINT")
    haproxy_live.converge(layout, SOCKET)
    assert told.commands[2:] == [
        "set server writes/cedbserver3 health down",
        "enable health writes/cedbserver3",
        "set server writes/cedbserver3 state ready",
    ]


def test_who_leaves_gets_no_new_session_before_it_is_taken_out(told: Told, layout: Layout) -> None:
    states = dict.fromkeys((f"cedbserver{number}" for number in (1, 2, 3, 4)), "UP")
    having(told, **states)
    haproxy_live.converge(layout, SOCKET)
    assert told.commands[:4] == [
        "set server writes/cedbserver4 state drain",
        "set server writes/cedbserver4 state maint",
        "shutdown sessions server writes/cedbserver4",
        "del server writes/cedbserver4",
    ]


def test_a_refusal_is_told_in_the_words_of_haproxy(told: Told, layout: Layout) -> None:
    having(told, cedbserver1="UP", cedbserver2="DOWN")
    told.refuses = "add server"
    with pytest.raises(ServerError, match="HAProxy refused 'add server writes/cedbserver3"):
        haproxy_live.converge(layout, SOCKET)
