"""What pages of one comparison share: the frame around them, sections, lists, tables."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from importlib.resources import files

from naru.report._markup import Child, Markup, tag


def frame(title: str, body: Iterable[Child], *, style: str = "", script: str = "") -> str:
    """A whole page that stands alone: nothing but what is given here may be loaded or run."""
    styles = asset("page.css") + style
    policy = f"default-src 'none'; style-src {_digest(styles)}"
    if script:
        policy += f"; script-src {_digest(script)}"
    head = tag(
        "head", tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("style", Markup(styles)),
    )  # fmt: skip
    code = tag("script", Markup(script)) if script else None
    page = tag("body", tag("main", *body), code)
    return f"<!doctype html>\n{tag('html', head, page, lang='en')}\n"


def asset(name: str) -> str:
    """A style sheet or script of the reports."""
    return files("naru.report").joinpath(name).read_text(encoding="utf-8")


def section(title: str, *children: Child, id_: str | None = None) -> Markup:
    return tag("section", tag("h2", title), *children, id=id_)


def listing(items: Iterable[str]) -> Markup:
    return tag("ul", *(tag("li", item) for item in items))


def grid(heads: Iterable[str], rows: Iterable[Markup], class_: str | None = None) -> Markup:
    """A table that scrolls sideways by itself where it is too wide."""
    head = tag("thead", tag("tr", *(tag("th", name, scope="col") for name in heads)))
    table = tag("table", head, tag("tbody", *rows), class_=class_)
    return tag("div", table, class_="scroll", tabindex="0")


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
