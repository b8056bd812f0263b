"""`naru report`: the page and the figures of the newest run, from the journal."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from naru.cli import talk
from naru.cli.options import JsonOption, SpecOption, spec_of

OutOption = Annotated[
    Path, typer.Option("--out", metavar="DIR", help="Where report.html and report.json go.")
]


def report(spec: SpecOption = None, out: OutOption = Path("out"), json: JsonOption = False) -> None:
    """Write the report of the newest run: one HTML page, and the same figures as JSON.

    Prints the page's path, or with --json the figures.
    """
    from naru.errors import UsageError
    from naru.ground import state_folder
    from naru.journal import FILE, Journal
    from naru.report import story_from_journal, write

    _, file = spec_of(spec)
    folder = state_folder(file)
    if not (folder / FILE).exists():
        raise UsageError(
            f"nothing was run here yet: there is no journal in {folder}",
            remedy="run `naru demo` or `naru migrate start` first",
        )
    with Journal.in_folder(folder) as journal:
        story = story_from_journal(journal)
    page = write(story, out)
    if json:
        talk.put_json(story.to_json())
    else:
        talk.put(str(page))
