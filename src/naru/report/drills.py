"""One page for a series of drills: what was promised, what was measured, what held."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import naru
from naru.report._document import iso
from naru.report._markup import Markup, tag
from naru.system import write_atomically
from naru.system.units import human_ms, human_seconds

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_HEADS = (
    "drill", "promised", "held", "writes again", "longest silence", "all back",
    "client errors", "acknowledged", "lost", "twice", "primary",
)  # fmt: skip


def write_drills(title: str, verdicts: Sequence[Mapping[str, Any]], folder: Path) -> Path:
    """Write drills.html and drills.json of `verdicts` (as `naru drill run --json` gives them).

    Returns the path of the page. Makes the folder if it is missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"title": title, "drills": list(verdicts)}, indent=2, ensure_ascii=False)
    write_atomically(folder / "drills.json", text + "\n")
    page = folder / "drills.html"
    write_atomically(page, render_drills(title, verdicts))
    return page


def render_drills(title: str, verdicts: Sequence[Mapping[str, Any]]) -> str:
    """The whole page as HTML; it stands alone."""
    style = (files("naru.report") / "page.css").read_text(encoding="utf-8")
    head = tag(
        "head", tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title), tag("style", Markup(style)),
    )  # fmt: skip
    body = tag("body", tag("main", *_body(title, verdicts)))
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _body(title: str, verdicts: Sequence[Mapping[str, Any]]) -> list[Markup]:
    broken = [one for one in verdicts if not one["kept"]]
    word, sentence = ("failed", f"{len(broken)} of {len(verdicts)} promises broke.")
    if not broken:
        word, sentence = "passed", f"All {len(verdicts)} promises held."
    rows = [tag("tr", *(tag("th", name) for name in _HEADS)), *map(_row, verdicts)]
    return [
        tag("header", tag("h1", title)),
        tag(
            "div", tag("p", "✗ Failed" if broken else "✓ Passed", class_="word"),
            tag("p", sentence, class_="sentence"), class_=f"verdict {word}",
        ),
        tag("section", tag("table", *rows)),
        *(_what_broke(one) for one in broken),
        tag("footer", f"Naru {naru.__version__}. The same figures for programs: drills.json."),
    ]  # fmt: skip


def _row(one: Mapping[str, Any]) -> Markup:
    silence = one["longest_silence_ms"]
    cells = (
        one["drill"],
        one["promise"],
        "yes" if one["kept"] else "NO",
        _seconds(one["seconds"]),
        "–" if silence is None else human_ms(silence),
        _seconds(one["whole_after_seconds"]),
        _count(one["client_errors"]),
        _count(one["acknowledged"]),
        _count(one["lost"]),
        _count(one["duplicated"]),
        f"{one['primary_before']} → {one['primary_after'] or 'none'}",
    )
    return tag("tr", *(tag("td", cell) for cell in cells))


def _what_broke(one: Mapping[str, Any]) -> Markup:
    when = iso(one["struck_at"]) or "before it struck"
    return tag("p", f"{one['drill']} ({when}): {'; '.join(one['broken'])}")


def _seconds(value: float | None) -> str:
    return "–" if value is None else human_seconds(value)


def _count(value: int | None) -> str:
    return "not known" if value is None else f"{value:,}"
