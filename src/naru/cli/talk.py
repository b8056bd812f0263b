"""What people read goes to stderr; what programs read goes to stdout."""

from __future__ import annotations

import json
import sys
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from naru.errors import NaruError, RefusedError

people = Console(stderr=True, highlight=False, soft_wrap=True)
"""Where talk goes: progress, tables, warnings, errors."""


def say(text: str) -> None:
    """A line for people."""
    people.print(text, markup=False)


def complain(error: NaruError) -> None:
    """An error: what happened, to which object, what to do next."""
    people.print("error: ", style="bold red", end="")
    people.print(error.message, markup=False)
    if error.remedy:
        people.print(f"  → {error.remedy}", markup=False)


def put(text: str) -> None:
    """A line of data on stdout."""
    sys.stdout.write(text + "\n")


def put_table(table: Table) -> None:
    """A table on stdout, as wide as it needs to be."""
    Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else 200).print(
        table
    )


def put_json(document: Any) -> None:
    """One stable JSON document on stdout."""
    put(json.dumps(document, indent=2, ensure_ascii=False, default=str))


def confirm(question: str, *, yes: bool) -> None:
    """Ask before a dangerous step, unless told `--yes`. Raises RefusedError on a no."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise RefusedError(f"{question}: needs a yes", remedy="add --yes to go on unattended")
    if not typer.confirm(question, err=True):
        raise RefusedError("nothing was done")
