"""HTML and SVG by function calls: whatever is not markup already is escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable

_VOID = frozenset({"meta", "br", "hr"})


class Markup(str):
    """Text that is markup already and goes in as it is."""

    __slots__ = ()


Child = str | Markup | None
Attribute = str | float | None


def tag(name: str, /, *children: Child, **attributes: Attribute) -> Markup:
    """One element; `class_` becomes class, other underscores hyphens; None is left out."""
    words = [name]
    for key, value in attributes.items():
        if value is not None:
            text = number(value) if isinstance(value, float | int) else value
            words.append(f'{key.rstrip("_").replace("_", "-")}="{html.escape(text)}"')
    opening = f"<{' '.join(words)}>"
    return Markup(opening if name in _VOID else f"{opening}{join(children)}</{name}>")


def join(children: Iterable[Child]) -> Markup:
    """Children one after the other, escaped where they are plain text."""
    return Markup("".join(map(_text, children)))


def number(value: float) -> str:
    """A coordinate with one decimal and no trailing zero."""
    text = f"{value:.1f}"
    return text[:-2] if text.endswith(".0") else text


def _text(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Markup):
        return child
    return html.escape(child, quote=False)
