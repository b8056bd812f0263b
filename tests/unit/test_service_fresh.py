"""Which standby may be read is decided from its status and from what was seen before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from naru.ground import open_ground
from naru.service.layout import layout_of
from naru.service.onhost.member import Members, Progress, unfit
from naru.service.patroni import Passwords, render
from naru.spec import ServiceSpec, Spec

STANDBY = {
    "state": "running",
    "role": "replica",
    "replication_state": "streaming",
    "xlog": {"replayed_location": 1000, "paused": False},
}
MB = 1024 * 1024


def test_a_standby_that_keeps_up_is_read() -> None:
    assert unfit(STANDBY, 1000, 0.0, 16, 10) is None
    assert unfit(STANDBY, 1000 + 16 * MB, 10.0, 16, 10) is None


@pytest.mark.parametrize(
    ("change", "primary", "late", "word"),
    [
        ({"role": "primary"}, 1000, 0.0, "no running standby"),
        ({"state": "starting"}, 1000, 0.0, "no running standby"),
        ({"xlog": {"replayed_location": 1000, "paused": True}}, 1000, 0.0, "replay is paused"),
        ({}, 1001 + 16 * MB, 0.0, "bytes behind"),
        ({}, 2000, 10.1, "10.1 s behind"),
        ({"xlog": None}, 17 * MB, 0.0, "bytes behind"),
    ],
)
def test_a_standby_that_lags_or_stands_still_is_not_read(
    change: dict[str, Any], primary: int, late: float, word: str
) -> None:
    assert word in str(unfit({**STANDBY, **change}, primary, late, 16, 10))


def test_a_standby_is_late_since_the_primary_went_past_what_it_has_replayed() -> None:
    progress = Progress()
    assert progress.late(0.0, 100, 100, streams=True) == 0.0
    assert progress.late(1.0, 200, 100, streams=True) == 0.0
    assert progress.late(3.0, 300, 100, streams=True) == 2.0
    assert progress.late(4.0, 300, 200, streams=True) == 1.0
    assert progress.late(9.0, 300, 300, streams=True) == 0.0


def test_an_idle_primary_makes_nobody_late() -> None:
    progress = Progress()
    assert progress.late(0.0, 100, 100, streams=True) == 0.0
    assert progress.late(3600.0, 100, 100, streams=True) == 0.0


def test_one_that_does_not_stream_is_late_since_it_last_did() -> None:
    progress = Progress()
    assert progress.late(0.0, 100, 100, streams=False) == float("inf")
    assert progress.late(1.0, 100, 100, streams=True) == 0.0
    assert progress.late(7.0, 100, 100, streams=False) == 6.0


def test_a_primary_that_died_makes_nobody_late_who_still_hears_the_election() -> None:
    progress = Progress()
    assert progress.late(0.0, 100, 100, streams=False, told=True) == float("inf")
    assert progress.late(1.0, 100, 100, streams=True) == 0.0
    assert progress.late(21.0, 100, 100, streams=False, told=True) == 0.0
    assert progress.late(22.0, 200, 100, streams=False, told=True) == 0.0
    assert progress.late(33.0, 300, 100, streams=False, told=True) == 11.0


def test_what_a_former_primary_alone_had_makes_nobody_late() -> None:
    progress = Progress()
    assert progress.late(0.0, 100, 90, streams=True) == 0.0
    assert progress.late(5.0, 100, 90, streams=True) == 5.0
    assert progress.late(6.0, 90, 90, streams=True) == 0.0
    assert progress.late(60.0, 90, 90, streams=True) == 0.0
    assert progress.late(61.0, 0, 90, streams=True) == 0.0


def test_how_far_behind_a_standby_may_be_is_read_anew_at_every_check(tmp_path: Path) -> None:
    spec = Spec(service=ServiceSpec(read_lag_mb=2, read_lag_seconds=3))
    (tmp_path / "ground.json").write_text('{"kind": "loopback", "network": "127.1.0.0/16"}')
    settings = tmp_path / "m1.yml"

    def bounds(spec: Spec) -> tuple[int, float]:
        layout = layout_of(spec, open_ground(spec, tmp_path))
        settings.write_text(render(
            layout, layout.nodes[0], bin_folder=tmp_path, callback=None, major=17,
            passwords=Passwords("", "", "", ""), settings={}, encoding="UTF8", locale="C.UTF-8",
        ))  # fmt: skip
        return members.read_lag()

    members = Members(settings)
    assert bounds(spec) == (2, 3.0)
    assert bounds(Spec()) == (16, 10.0)
