"""Two values side by side, with what differs marked and nothing invisible left unseen."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from naru.report._markup import Child, Markup, join, tag
from naru.system.units import human_count

_MOST_SPELT = 12


@dataclass(frozen=True)
class ShownValue:
    """Some of a value: `length` bytes from `start` of `size`; `text` is hex where `binary`."""

    text: str
    start: int = 0
    size: int = 0
    length: int = 0
    binary: bool = False

    @property
    def whole(self) -> bool:
        return self.start == 0 and self.length >= self.size


@dataclass(frozen=True)
class ShownPair:
    """A value on both sides; None is NULL. Not `searched`: it may differ further on."""

    column: str
    source: ShownValue | None
    target: ShownValue | None
    searched: bool = True


def pair_cells(pair: ShownPair) -> tuple[Markup, Markup]:
    """The cell of the source and that of the target."""
    marks = _marks(pair.source, pair.target)
    cells = zip(("source", "target"), (pair.source, pair.target), marks, strict=True)
    source, target = (_cell(side, value, mark, pair) for side, value, mark in cells)
    return source, target


_Mark = tuple[int, int]


def _marks(source: ShownValue | None, target: ShownValue | None) -> tuple[_Mark, _Mark]:
    """From where to where the two texts differ, in characters of each."""
    if source is None or target is None:
        return (0, 0), (0, 0)
    ours, theirs = source.text, target.text
    begin = _common(ours, theirs)
    step = 2 if source.binary else 1
    begin -= begin % step
    end = 0
    if (source.whole and target.whole) or source.size == target.size:
        end = _common(ours[begin:][::-1], theirs[begin:][::-1])
        end -= end % step
    return (begin, len(ours) - end), (begin, len(theirs) - end)


def _common(one: str, other: str) -> int:
    """How many characters two texts have in common at their beginning."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(one), len(other)))


def _cell(side: str, value: ShownValue | None, mark: _Mark, pair: ShownPair) -> Markup:
    label = tag("span", side, class_="side")
    if value is None:
        return tag("div", label, tag("span", "NULL", class_="null"), class_="value-cell")
    if not value.size and not value.text:
        return tag("div", label, tag("span", "empty", class_="null"), class_="value-cell")
    begin, end = mark
    differs = value.text[begin:end]
    marked = tag("mark", visible(differs)) if differs else None
    shown = tag(
        "code", "…\u2060" if value.start else None, visible(value.text[:begin]), marked,
        visible(value.text[end:]), "" if value.start + value.length >= value.size else "…",
    )  # fmt: skip
    notes = [note for note in (_extent(value), _spelt(value, differs), _doubt(pair)) if note]
    note = tag("span", "; ".join(notes), class_="extent") if notes else None
    return tag("div", label, shown, note, class_="value-cell")


def _extent(value: ShownValue) -> str:
    unit = "bytes" if value.size != 1 else "byte"
    if value.whole:
        return f"{human_count(value.size)} {unit}" if value.binary else ""
    return f"{human_count(value.length)} of {human_count(value.size)} {unit}" + (
        f", from byte {human_count(value.start)} on" if value.start else ""
    )


def _doubt(pair: ShownPair) -> str:
    if not pair.searched:
        return "where it differs further on was not looked for"
    if pair.source and pair.target and pair.source == pair.target:
        return "the same to read: it has changed meanwhile, or only its binary form differs"
    return ""


def _spelt(value: ShownValue, differs: str) -> str:
    """The code points of a short difference that a reader might not see."""
    if value.binary or not differs or len(differs) > _MOST_SPELT or differs.isascii():
        return ""
    return " ".join(f"U+{ord(one):04X}" for one in differs)


def visible(text: str) -> Markup:
    """Text with pictures for what has no shape or turns the direction of its neighbours."""
    parts: list[Child] = []
    plain: list[str] = []
    for one in text:
        shape = _picture(one)
        if shape is None:
            plain.append(one)
            continue
        parts += ["".join(plain), tag("span", shape, class_="unseen")]
        plain = []
    return join([*parts, "".join(plain)])


def _picture(one: str) -> str | None:
    code = ord(one)
    if one == "\n":
        return "↵\n"
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    if code == 0xA0 or unicodedata.category(one) in ("Cf", "Cc", "Co", "Cn", "Zl", "Zp"):
        return f"U+{code:04X}"
    return None
