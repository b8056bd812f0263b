"""The documents agree with the program."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from naru.migrate import proven_moves

ROOT = Path(__file__).resolve().parents[2]


def test_the_reference_pages_are_current() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "reference.py", "--check"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_every_dependency_has_its_sentence() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    page = (ROOT / "docs" / "dependencies.md").read_text()
    wanted = [
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["lab"],
        *project["dependency-groups"]["dev"],
        *project["dependency-groups"]["build"],
        *project["dependency-groups"]["servers"],
    ]
    names = [re.split(r"[\[=<>]", requirement)[0] for requirement in wanted]
    assert [name for name in names if f"**{name}**" not in page] == []


def test_every_exact_pin_is_in_its_lock_file() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    runtime = (
        project["project"]["dependencies"] + project["project"]["optional-dependencies"]["lab"]
    )
    wanted = {
        "runtime": runtime,
        "dev": project["dependency-groups"]["dev"],
        "build": project["dependency-groups"]["build"] + project["build-system"]["requires"],
        "servers": project["dependency-groups"]["servers"],
    }
    for name, requirements in wanted.items():
        lock = (ROOT / "requirements" / f"{name}.txt").read_text()
        pins = [re.sub(r"\[.*\]", "", requirement) for requirement in requirements]
        assert [pin for pin in pins if f"{pin} \\\n" not in lock] == [], f"{name}: `make lock`"


@pytest.mark.parametrize("page", ["README.md", "docs/reference/versions.md"])
def test_the_tested_versions_are_told_as_they_are_tested(page: str) -> None:
    assert proven_moves() in (ROOT / page).read_text().replace("\n", " ")


def test_no_lock_file_says_where_packages_come_from() -> None:
    for lock in (ROOT / "requirements").glob("*.txt"):
        assert not re.search(r"://|^--|/(tmp|home|work)/", lock.read_text(), re.MULTILINE)


_PAGES = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_between_the_documents_leads_somewhere(page: Path) -> None:
    shown = re.sub(r"<!--.*?-->", "", page.read_text(), flags=re.DOTALL)
    links = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", shown)
    assert [link for link in links if not (page.parent / link).exists()] == []
