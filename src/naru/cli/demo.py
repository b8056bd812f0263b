"""`naru demo`: the whole story on this machine, unattended, with a report at its end."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from naru.cli import talk
from naru.cli.options import JsonOption, SpecOption, spec_of


def demo(
    spec: SpecOption = None,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Where report.html and report.json go.")
    ] = Path("out"),
    clients: Annotated[int, typer.Option(min=1, max=100, help="Clients of the workload.")] = 8,
    rate: Annotated[
        float, typer.Option(min=1, help="Transactions a second, over all clients.")
    ] = 250.0,
    jobs: Annotated[int, typer.Option(min=1, max=64, help="Workers of the copy.")] = 2,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave everything running; end it with --clear.")
    ] = False,
    clear: Annotated[
        bool, typer.Option("--clear", help="Only take away what a demo has left running.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Play the whole story: a live database crosses over, and then its primary is killed.

    An old server with content, a service, clients at work all along; assess, copy, follow,
    compare, cut over, compare exactly, kill -9, account for every transaction. Exit code 0
    only if every promise held.
    """
    from naru.cli.progress import observer_for
    from naru.ground import state_folder
    from naru.lab import Demo, Settings
    from naru.report import judge

    declared, file = spec_of(spec)
    folder = state_folder(file) / "demo"
    settings = Settings(clients=clients, rate=rate, jobs=jobs, out=out, keep=keep)
    with observer_for() as observer:
        one = Demo(declared, folder, settings, observer)
        one.clear()
        if clear:
            return
        story = one.play()
    verdict = judge(story)
    if json:
        talk.put_json(story.to_json())
    else:
        talk.put(f"{verdict.word}: {verdict.sentence}")
        talk.put(str(out / "report.html"))
    raise typer.Exit(0 if verdict.word == "passed" else 1)
