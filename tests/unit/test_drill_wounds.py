"""A wound is noted before it is made, and healed by whoever comes next."""

from __future__ import annotations

from pathlib import Path

import pytest

from naru.drill.wounds import Wounds
from naru.errors import UnreachableError


def test_what_a_killed_drill_left_is_healed_by_the_next_newest_first(tmp_path: Path) -> None:
    done: list[tuple[str, ...]] = []
    cures = {"away": lambda *words: done.append(words), "cut": lambda: done.append(("cut",))}
    Wounds(tmp_path, cures).note("away", "one")
    Wounds(tmp_path, cures).note("cut")
    later = Wounds(tmp_path, cures)
    assert later.open() == (("away", "one"), ("cut",))
    later.heal()
    assert done == [("cut",), ("one",)]
    later.heal()
    assert len(done) == 2 and later.open() == ()


def test_one_kind_or_one_member_is_healed_alone(tmp_path: Path) -> None:
    done: list[str] = []
    wounds = Wounds(tmp_path, {"away": done.append, "cut": lambda: done.append("cut")})
    for name in ("one", "two"):
        wounds.note("away", name)
    wounds.note("cut")
    wounds.heal("away", "two")
    assert done == ["two"]
    wounds.heal("cut")
    assert wounds.open() == (("away", "one"),)


def test_what_cannot_be_healed_stays_noted_and_does_not_keep_the_rest(tmp_path: Path) -> None:
    done: list[str] = []

    def refuse() -> None:
        raise UnreachableError("nobody there")

    wounds = Wounds(tmp_path, {"away": done.append, "cut": refuse})
    wounds.note("away", "one")
    wounds.note("cut")
    with pytest.raises(UnreachableError):
        wounds.heal()
    assert done == ["one"]
    assert wounds.open() == (("cut",),)
