#!/usr/bin/env python3
"""Write the reference pages that are made from the program; with --check, say which are stale."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import typer.main
from settings_page import settings_page

from naru.cli.main import app
from naru.migrate.findings import reference_page
from naru.spec import Spec
from naru.spec.changing import WORDS, change_of
from naru.spec.check import allowed

PAGES = Path(__file__).resolve().parent.parent / "docs" / "reference"
MADE = "<!-- Made from the program by `make docs`; changes here are lost. -->\n"


def cli_page() -> str:
    """The help of every command, as a terminal of 80 columns shows it."""
    parts = ["# The command line", MADE, CLI_PREFACE]
    root = typer.main.get_command(app)
    for name, text in _helps(root, click.Context(root, info_name="naru", terminal_width=80)):
        parts.append(f"## `{name}`\n\n```text\n{text.rstrip()}\n```\n")
    return "\n".join(parts)


CLI_PREFACE = """\
stdout is data, stderr is talk. `--json` gives one stable JSON document. Exit codes:

| code | means |
|-|-|
| 0 | done |
| 1 | the answer is no: databases differ, a gate is shut, a promise broke, something is missing |
| 2 | wrong use of a command, or a wrong naru.toml |
| 3 | cannot reach, not permitted, not installed |
| 4 | stopped half-way; the same command goes on |
"""


def _helps(command: Any, context: Any) -> Iterator[tuple[str, str]]:
    if getattr(command, "hidden", False):
        return
    yield (
        context.command_path,
        "\n".join(line.rstrip() for line in command.get_help(context).splitlines()),
    )
    for name in getattr(command, "commands", {}):
        below = command.commands[name]
        yield from _helps(
            below, type(context)(below, info_name=name, parent=context, terminal_width=80)
        )


def spec_page() -> str:
    """Every key of naru.toml: what it means, what it may be, what it is by default."""
    parts = ["# naru.toml", MADE, SPEC_PREFACE]
    for table, field in Spec.model_fields.items():
        model: Any = field.annotation
        if table == "parameter_group":
            parts.append(f"## [parameter_group.NAME]\n\n{_line(field.description)}\n")
            continue
        parts.append(f"## [{table}]\n\n{model.__doc__}\n")
        parts.append("| key | means | allowed | default | when changed |\n|-|-|-|-|-|")
        for name, key in model.model_fields.items():
            cells = (
                _line(key.description), _line(allowed(key)), _default(key.default),
                _line(WORDS[change_of(f"{table}.{name}").effect]),
            )  # fmt: skip
            parts.append(f"| `{name}` | {' | '.join(cells)} |")
        parts.append("")
    return "\n".join(parts)


SPEC_PREFACE = """\
What the environment is. An empty file, or none, is the reference lab. Naru reads `naru.toml`
in the current folder, or the file named by `--spec`. `naru init` writes one with every key
as a comment.

A wrong file is refused as a whole, before anything is done: every fault with file, line and
key, and exit code 2. A file that holds `service.password` must be readable by its owner
alone. The rules of `[service]` are those of the managed PostgreSQL of Samsung Cloud Platform
v2. Addresses are the lab's; the ground says where they are on this machine.
"""


ROOMS = (
    "lab", "drill", "upgrade", "migrate", "verify", "traffic", "backup", "service", "ground",
    "postgres", "report", "journal", "spec", "system",
)  # fmt: skip


def rooms_page() -> str:
    """What each room exports, with the first line of what it says of itself."""
    parts = ["# The rooms, from inside", MADE, ROOMS_PREFACE]
    for room in ROOMS:
        module = importlib.import_module(f"naru.{room}")
        parts.append(f"## naru.{room}\n\n{inspect.getdoc(module)}\n")
        for name in sorted(getattr(module, "__all__", ()), key=str.lower):
            parts.append(f"- `{name}`{_summary(getattr(module, name))}")
        parts.append("")
    return "\n".join(parts)


ROOMS_PREFACE = """\
For whoever works on Naru or calls it from Python: the public names of each room, in the order of
[the house](../../ARCHITECTURE.md). Whatever is not here may change without a word.
"""


def _summary(thing: Any) -> str:
    named = inspect.isclass(thing) or inspect.isroutine(thing)
    text = (inspect.getdoc(thing) or "") if named else ""
    first = " ".join(text.partition("\n\n")[0].split())
    # A dataclass without a docstring has its signature for one.
    return (
        "" if not first or first.startswith(f"{getattr(thing, '__name__', '')}(") else f": {first}"
    )


def _default(value: Any) -> str:
    if value is None:
        return "—"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, str):
        return f'`"{value}"`'
    return "`[]`" if value == () else f"`{value}`"


def _line(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")


def main() -> int:
    stale = []
    made = {
        "cli.md": cli_page(), "findings.md": reference_page(MADE), "spec.md": spec_page(),
        "rooms.md": rooms_page(), "settings.md": settings_page(MADE),
    }  # fmt: skip
    for name, text in made.items():
        page = PAGES / name
        if not page.exists() or page.read_text() != text:
            stale.append(name)
            if "--check" not in sys.argv:
                PAGES.mkdir(parents=True, exist_ok=True)
                page.write_text(text)
    if stale and "--check" in sys.argv:
        print(f"stale: {', '.join(stale)}; `make docs` writes them anew", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
