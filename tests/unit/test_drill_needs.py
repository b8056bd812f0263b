"""What a drill needs is told with how to get it, and without it nothing passes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from naru.drill import find_drill
from naru.errors import RefusedError
from naru.spec import Spec


def stage() -> Any:
    layout = SimpleNamespace(nodes=(1, 2, 3), etcd=(1, 2, 3))
    return SimpleNamespace(spec=Spec(), service=SimpleNamespace(layout=layout))


def test_a_drill_that_lacks_libfaketime_says_how_to_get_it_and_does_not_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("naru.drill.needs.find_faketime", lambda: None)
    assert find_drill("clock-jump").missing(stage()) == "libfaketime (apt-get install libfaketime)"
    with pytest.raises(RefusedError, match="apt-get install libfaketime"):
        find_drill("clock-jump").run(stage())
