"""`naru init`: write a naru.toml, by questions on a terminal or by --set."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from naru.cli import talk
from naru.errors import UsageError

if TYPE_CHECKING:
    from naru.spec.draft import Declared, Question


def init(
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Set a key: --set service.members=3"),
    ] = None,
    password_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Take service.password from the file's first line."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that exists.")] = False,
    spec: Annotated[Path, typer.Option("--spec", metavar="FILE", help="The file to write.")] = Path(
        "naru.toml"
    ),
) -> None:
    """Write naru.toml: by questions on a terminal, else from --set. An empty one is the lab."""
    from naru.spec.draft import declare_all, write_spec

    if spec.exists() and not force:
        raise UsageError(f"{spec} exists already", remedy="add --force to replace it")
    given = _pairs(settings or [])
    if password_file is not None:
        given["service.password"] = _first_line(password_file)
    ask = not given and sys.stdin.isatty() and sys.stderr.isatty()
    write_spec(spec, _interview() if ask else declare_all(given), force=force)
    talk.say(f"wrote {spec}")


def _pairs(settings: list[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise UsageError(f"--set {setting}: no value", remedy="write --set key=value")
        if key.strip() == "service.password":
            raise UsageError(
                "--set service.password: others on this machine can read arguments",
                remedy="use --password-file FILE",
            )
        pairs[key.strip()] = value.strip()
    return pairs


def _first_line(path: Path) -> str:
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    return lines[0] if lines else ""


def _interview() -> Declared:
    from naru.spec.draft import questions

    declared: Declared = {}
    talk.say("Enter keeps what stands in brackets.")
    for question in questions():
        talk.say(f"\n{question.meaning}\n  allowed: {question.allowed}")
        while not _answered(question, declared):
            pass
    return declared


def _answered(question: Question, declared: Declared) -> bool:
    """Ask once; take a good answer into `declared`, say what is wrong with a bad one."""
    from naru.spec.draft import declare

    default = question.default or ""
    answer = typer.prompt(
        question.key, default=default, show_default=bool(default), hide_input=question.secret,
        err=True,
    )  # fmt: skip
    if answer == default:
        return True
    faults = declare(declared, question.key, answer)
    if faults:
        table, _, name = question.key.partition(".")
        del declared[table][name]
    for fault in faults:
        talk.say(f"  {fault.key}: {fault.text}")
    return not faults
