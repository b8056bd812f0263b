"""The page: one HTML file that stands alone, complete without its script."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import naru
from naru.report import _sections, _tiles
from naru.report._document import document, iso
from naru.report._markup import Markup, tag
from naru.report._timeline import hover_data
from naru.report.story import Story
from naru.report.verdict import Verdict, judge
from naru.system import write_atomically
from naru.system.units import human_seconds

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
_WORDS = {"passed": "✓ Passed", "failed": "✗ Failed", "incomplete": "◐ Incomplete"}


def write(story: Story, folder: Path) -> Path:
    """Write report.html and report.json into `folder`, each whole or not at all.

    Returns the path of the page. Makes the folder if it is missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / "report.html"
    text = json.dumps(document(story), indent=2, ensure_ascii=False)
    write_atomically(folder / "report.json", text + "\n")
    write_atomically(page, render(story))
    return page


def render(story: Story) -> str:
    """The whole page as HTML."""
    verdict = judge(story)
    head = tag(
        "head", tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{verdict.word}: {story.title}"),
        tag("style", Markup(_asset("page.css"))),
    )  # fmt: skip
    body = tag("body", tag("main", *_body(story, verdict)), *_script(story))
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _body(story: Story, verdict: Verdict) -> list[Markup]:
    return [
        _header(story),
        _banner(verdict),
        tag("dl", *_tiles.all_tiles(story), class_="tiles"),
        _sections.run_section(story),
        _sections.cutover_section(story),
        _sections.verification_section(story),
        _sections.failover_section(story),
        _sections.ledger_section(story),
        _sections.events_section(story),
        _sections.environment_section(story),
        tag("footer", f"Naru {naru.__version__}. The same figures for programs: report.json."),
    ]


def _header(story: Story) -> Markup:
    began = (iso(story.started) or "")[:16].replace("T", " ")
    words = f"{began} UTC"
    if story.ended is not None:
        words += f", {human_seconds(story.ended - story.started)}"
    return tag("header", tag("h1", story.title), tag("p", words, class_="when"))


def _banner(verdict: Verdict) -> Markup:
    rest = [*(verdict.missing if verdict.broken else ())]
    also = tag("p", f"Also: {', '.join(rest)}.", class_="also") if rest else None
    return tag(
        "div", tag("p", _WORDS[verdict.word], class_="word"),
        tag("p", verdict.sentence, class_="sentence"), also, class_=f"verdict {verdict.word}",
    )  # fmt: skip


def _script(story: Story) -> list[Markup]:
    if not story.workload:
        return []
    data = hover_data(story).replace("<", "\\u003c")
    return [
        tag("script", Markup(data), type="application/json", id="timeline-data"),
        tag("script", Markup(_asset("page.js"))),
    ]


def _asset(name: str) -> str:
    return (files("naru.report") / name).read_text(encoding="utf-8")
