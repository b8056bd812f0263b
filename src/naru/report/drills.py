"""One page for a series of drills: what was promised, what was measured, what held."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import naru
from naru.report._document import iso
from naru.report._markup import Child, Markup, tag
from naru.report._tiles import Tile, draw
from naru.system import write_atomically
from naru.system.units import human_count, human_ms, human_seconds

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_HEADS = ("drill", "runs", "writes again", "reads again", "longest silence", "all back",
          "errors", "acknowledged", "lost", "twice", "stale")  # fmt: skip
_BAR = 120.0
"""Width of the longest bar of silence, in pixels."""

_ALWAYS = "nothing lost, nothing duplicated"
"""Promised by every drill, and so said once."""

_METHOD = (
    "In each drill clients write to a ledger through the pool, as fast as they were told, and note"
    " what was acknowledged. Then something is broken. Afterwards every note is looked up: an"
    " acknowledged transaction that is missing was lost, one that is there more than once was"
    " duplicated. The longest silence is the longest time between two acknowledged commits of all"
    " clients together. Beside them, readers at the endpoints for writes and for reads look for"
    " rows that were acknowledged before: one that the primary's endpoint does not show is a"
    " stale read. That nothing is lost, nothing duplicated and no such read stale is promised by"
    " each."
)


@dataclass(frozen=True)
class _Series:
    """All runs of one drill."""

    name: str
    runs: Sequence[Mapping[str, Any]]

    @property
    def broken(self) -> list[Mapping[str, Any]]:
        return [one for one in self.runs if not one["kept"]]

    def values(self, key: str) -> list[float]:
        return [one[key] for one in self.runs if one[key] is not None]

    @property
    def reads_again(self) -> list[float]:
        """Of each run, the later of the two endpoints; 0 where reads went on."""
        answers = [[end["again_seconds"] for end in one.get("reads", {}).values()]
                   for one in self.runs]  # fmt: skip
        return [max(one) for one in answers if one and None not in one]

    def total(self, key: str) -> int | None:
        """The sum; None if one run could not tell."""
        counts: list[Any] = [one.get(key) for one in self.runs]
        return None if None in counts else sum(counts)


def write_drills(
    title: str,
    verdicts: Sequence[Mapping[str, Any]],
    path: Path,
    left_out: Mapping[str, str] | None = None,
) -> Path:
    """Write a page and a JSON file of `verdicts` (as `naru drill run --json` gives them).

    `path` is the page, if it ends in .html, else a folder for drills.html; the JSON file lies
    beside it. A drill may be among the verdicts several times; `left_out` says why others are
    not. Returns the path of the page. Makes the folder if it is missing.
    """
    page = path if path.suffix == ".html" else path / "drills.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    document = {"title": title, "drills": list(verdicts), "left_out": dict(left_out or {})}
    text = json.dumps(document, indent=2, ensure_ascii=False)
    write_atomically(page.with_suffix(".json"), text + "\n")
    write_atomically(page, render_drills(title, verdicts, left_out))
    return page


def render_drills(
    title: str, verdicts: Sequence[Mapping[str, Any]], left_out: Mapping[str, str] | None = None
) -> str:
    """The whole page as HTML; it stands alone."""
    style = (files("naru.report") / "page.css").read_text(encoding="utf-8")
    head = tag(
        "head", tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title), tag("style", Markup(style)),
    )  # fmt: skip
    body = tag("body", tag("main", *_body(title, verdicts, left_out or {})))
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _body(
    title: str, verdicts: Sequence[Mapping[str, Any]], left_out: Mapping[str, str]
) -> list[Markup]:
    names = list(dict.fromkeys(one["drill"] for one in verdicts))
    series = [_Series(n, [one for one in verdicts if one["drill"] == n]) for n in names]
    broken = [one for one in verdicts if not one["kept"]]
    led = [one for one in verdicts if one.get("leads")]
    told = [one for one in verdicts if one.get("details")]
    return [
        tag("header", tag("h1", title), tag("p", _when(verdicts), class_="when")),
        _verdict(verdicts, broken, left_out),
        tag("div", *map(draw, _tiles(verdicts)), class_="tiles"),
        tag(
            "section", tag("h2", "Drill by drill"), tag("p", _METHOD, class_="lead"),
            tag("div", _table(series), class_="scroll"),
        ),
        *([tag("section", tag("h2", "What broke"), *map(_what_broke, broken))] if broken else []),
        *([tag("section", tag("h2", "Who led"), _LEADS, *map(_who_led, led))] if led else []),
        *([tag("section", tag("h2", "Besides"), *map(_besides, told))] if told else []),
        *([tag("section", tag("h2", "Not run"), *map(_left_out, left_out.items()))]
          if left_out else []),
        tag("footer", f"Naru {naru.__version__}. The same figures for programs: drills.json."),
    ]  # fmt: skip


def _when(verdicts: Sequence[Mapping[str, Any]]) -> str:
    struck = [one["struck_at"] for one in verdicts if one["struck_at"]]
    return f"{iso(min(struck))} to {iso(max(struck))}" if struck else "nothing was struck"


def _verdict(
    verdicts: Sequence[Mapping[str, Any]], broken: Sequence[Any], left_out: Mapping[str, str]
) -> Markup:
    took = _Series("", verdicts).total("took_seconds")
    within = f", in {human_seconds(took)}" if took else ""
    word, sentence = "passed", f"All {len(verdicts)} promises held{within}."
    if broken:
        word, sentence = "failed", f"{len(broken)} of {len(verdicts)} promises broke{within}."
    if not verdicts:
        word, sentence = "failed", "Nothing was shown."
    if left_out:
        sentence += f" Not run: {', '.join(left_out)}."
    return tag(
        "div", tag("p", "✓ Passed" if word == "passed" else "✗ Failed", class_="word"),
        tag("p", sentence, class_="sentence"), class_=f"verdict {word}",
    )  # fmt: skip


def _tiles(verdicts: Sequence[Mapping[str, Any]]) -> Iterable[Tile]:
    whole = _Series("", verdicts)
    again, silence = whole.values("seconds"), whole.values("longest_silence_ms")
    acknowledged = whole.total("acknowledged")
    yield Tile(
        "acknowledged transactions",
        "not known" if acknowledged is None else human_count(acknowledged),
        "each was looked up afterwards",
    )
    for label, key in (("lost", "lost"), ("there twice", "duplicated")):
        count = whole.total(key)
        yield Tile(
            label, "not known" if count is None else f"{count:,}", "none is promised", count == 0
        )
    yield Tile("writes again, worst", human_seconds(max(again)) if again else "not measured",
               f"median {human_seconds(statistics.median(again))}" if again else "")  # fmt: skip
    yield Tile("longest silence", human_ms(max(silence)) if silence else "not measured",
               "between two acknowledged commits")  # fmt: skip
    errors = whole.total("client_errors")
    yield Tile("errors of clients", "not known" if errors is None else f"{errors:,}",
               "told as errors, never as success")  # fmt: skip


def _table(series: Sequence[_Series]) -> Markup:
    longest = max((max(one.values("longest_silence_ms"), default=0.0) for one in series), default=0)
    heads = [tag("th", name, class_="figure" if name not in _HEADS[:1] else None, scope="col")
             for name in _HEADS]  # fmt: skip
    rows = [_row(one, longest) for one in series]
    return tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *rows), class_="drills")


def _row(one: _Series, longest: float) -> Markup:
    kept = len(one.runs) - len(one.broken)
    silence = one.values("longest_silence_ms")
    promise = tag("div", one.runs[0]["promise"].removesuffix(f", {_ALWAYS}"), class_="faint")
    cells: list[tuple[Child, ...]] = [
        (f"{kept} of {len(one.runs)} held",),
        (_spread(one.values("seconds"), human_seconds),),
        (_spread(one.reads_again, human_seconds),),
        (_spread(silence, human_ms), _bar(max(silence), longest) if silence else None),
        (_spread(one.values("whole_after_seconds"), human_seconds),),
        (_count(one.total("client_errors")),),
        (_count(one.total("acknowledged")),),
        (_count(one.total("lost")),),
        (_count(one.total("duplicated")),),
        (_count(one.total("stale_reads")),),
    ]
    return tag(
        "tr", tag("th", one.name, promise, scope="row"),
        *(tag("td", *cell, class_="figure") for cell in cells),
        class_="broken" if one.broken else None,
    )  # fmt: skip


def _spread(values: Sequence[float], shown: Any) -> str:
    """The median and the worst, if there was more than one."""
    if not values:
        return "–"
    if len(values) == 1:
        return str(shown(values[0]))
    return f"{shown(statistics.median(values))}, worst {shown(max(values))}"


def _bar(value: float, longest: float) -> Markup:
    width = max(1.0, _BAR * value / longest) if longest else 1.0
    shape = tag("rect", x=_BAR - width, y=0, width=width, height=4, class_="step")
    return tag(
        "svg", shape, viewBox=f"0 0 {_BAR:g} 4", style=f"width: {_BAR:g}px; margin-left: auto"
    )


def _what_broke(one: Mapping[str, Any]) -> Markup:
    when = iso(one["struck_at"]) or "before it struck"
    lead = f"{one['primary_before']} → {one['primary_after'] or 'none'}"
    return tag(
        "div", tag("dt", f"{one['drill']}, {when}"),
        tag("dd", f"{'; '.join(one['broken'])} (primary {lead})"), class_="fact",
    )  # fmt: skip


_LEADS = Markup(
    '<p class="lead">Every member was asked four times a second whether it leads; seconds count'
    " from the fault. Where two answered so at once, only the one that a standby followed can"
    " have acknowledged anything.</p>"
)


def _who_led(one: Mapping[str, Any]) -> Markup:
    spans = [f"{lead['member']} {lead['from_seconds']:+.1f} to {lead['to_seconds']:+.1f} s"
             for lead in one["leads"]]  # fmt: skip
    both = one.get("two_primaries_seconds")
    twice = f" (two answered as primary for {both:g} s)" if both else ""
    return tag("div", tag("dt", one["drill"]), tag("dd", "; ".join(spans) + twice), class_="fact")


def _besides(one: Mapping[str, Any]) -> Markup:
    """What this drill alone measured."""
    found = [f"{key.replace('_', ' ')}: {_said(value)}" for key, value in one["details"].items()]
    return tag("div", tag("dt", one["drill"]), tag("dd", "; ".join(found)), class_="fact")


def _said(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_said(inner)}" for key, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_said, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _left_out(one: tuple[str, str]) -> Markup:
    return tag("div", tag("dt", one[0]), tag("dd", one[1]), class_="fact")


def _count(value: int | None) -> str:
    return "not known" if value is None else f"{value:,}"
