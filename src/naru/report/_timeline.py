"""The whole run on one time axis: throughput, latency, lag, and what happened when."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from naru.report._axes import Scale, decade_ticks, round_ticks, stack, text_width, time_ticks
from naru.report._markup import Markup, join, number, tag
from naru.report.series import condense
from naru.report.story import Event, LagPoint, Story, WorkloadPoint
from naru.system.units import clock, human_bytes, short_count

_LEFT, _RIGHT = 58.0, 12.0
_HEIGHTS = {"throughput": 130.0, "latency": 130.0, "lag": 80.0}
_TITLE = 30.0
_GAP = 10.0
_LABEL_ROWS = 4
_ROW = 15.0


@dataclass(frozen=True)
class _Panel:
    """A plot of its own height under a title; `y` is where its title begins."""

    y: float
    height: float

    @property
    def top(self) -> float:
        return self.y + _TITLE

    @property
    def bottom(self) -> float:
        return self.top + self.height


def timeline(story: Story, width: float) -> Markup:
    """The drawing, `width` pixels wide; panels without data are left out."""
    began, ended = span(story)
    x = Scale(began, ended, _LEFT, width - _RIGHT)
    points = condense(story.workload, int(width / 2))
    lag = condense(story.lag, int(width / 2))
    labels, top = _labels(story, x, width)
    bands, top = _phases(story, x, top)
    parts: list[Markup] = []
    first = top
    for name, draw in _panels(points, lag):
        panel = _Panel(top, _HEIGHTS[name])
        parts.append(draw(panel, x))
        top = panel.bottom + _GAP
    bottom = top - _GAP
    title = tag("title", "Time line of the run")
    return tag(
        "svg", title, tag("desc", _description(story, points)), bands,
        *_time_axis(x, ended - began, bottom, width),
        _marks(story.events, x, first, bottom), *parts, labels,
        tag("line", class_="cursor", x1=0, x2=0, y1=first, y2=bottom),
        viewBox=f"0 0 {number(width)} {number(bottom + 22)}", role="img",
        class_="timeline", data_from=number(_LEFT), data_to=number(width - _RIGHT),
    )  # fmt: skip


def span(story: Story) -> tuple[float, float]:
    """Beginning and end of the time axis."""
    times = [story.started, *(event.at for event in story.events if event.label)]
    times += [point.at for point in story.lag]
    times += [phase.ended for phase in story.phases]
    times += [point.at + point.seconds for point in story.workload]
    if story.ended is not None:
        times.append(story.ended)
    return min(times), max(max(times), min(times) + 1.0)


def hover_data(story: Story) -> str:
    """What the cursor reads, as JSON: seconds and texts, a few hundred rows."""
    began, ended = span(story)
    rows = []
    for point in condense(story.workload, 450):
        texts = [f"{point.rate:,.0f} commits/s"]
        for name, value in (("p50", point.p50_ms), ("p95", point.p95_ms), ("max", point.max_ms)):
            if value is not None:
                texts.append(
                    f"{name} {value:,.3g} ms" if value < 1000 else f"{name} {value:,.0f} ms"
                )
        if point.errors:
            texts.append(f"{point.errors:,} errors")
        rows.append([round(point.at + point.seconds / 2 - began, 2), " · ".join(texts)])
    return json.dumps({"seconds": round(ended - began, 2), "rows": rows}, ensure_ascii=False)


_Draw = Callable[[_Panel, Scale], Markup]


def _panels(points: Sequence[WorkloadPoint], lag: Sequence[LagPoint]) -> list[tuple[str, _Draw]]:
    panels: list[tuple[str, _Draw]] = []
    if points:
        panels.append(("throughput", lambda panel, x: _throughput(points, panel, x)))
    if any(point.max_ms is not None or point.p95_ms is not None for point in points):
        panels.append(("latency", lambda panel, x: _latency(points, panel, x)))
    if any(point.bytes is not None for point in lag):
        panels.append(("lag", lambda panel, x: _lag(lag, panel, x, in_bytes=True)))
    elif any(point.seconds is not None for point in lag):
        panels.append(("lag", lambda panel, x: _lag(lag, panel, x, in_bytes=False)))
    return panels


def _throughput(points: Sequence[WorkloadPoint], panel: _Panel, x: Scale) -> Markup:
    highest = [p.rate if p.highest is None else p.highest for p in points]
    lowest = [p.rate if p.lowest is None else p.lowest for p in points]
    ticks = round_ticks(max(highest), 4)
    y = Scale(0, ticks[-1], panel.bottom, panel.top)
    middles = [x(point.at + point.seconds / 2) for point in points]
    upper = [(at, y(value)) for at, value in zip(middles, highest, strict=True)]
    lower = [(at, y(value)) for at, value in zip(middles, lowest, strict=True)]
    parts = _stretches(points)
    means = [(at, y(point.rate)) for at, point in zip(middles, points, strict=True)]
    # A moment without any commit must be seen even where it is a part of one pixel.
    silences = [
        tag("line", class_="line blue", x1=at, x2=at, y1=mean, y2=panel.bottom)
        for (at, mean), value in zip(means, lowest, strict=True) if value == 0
    ]  # fmt: skip
    errors = [
        tag("circle", class_="dot bad", cx=at, cy=panel.bottom, r=2.5)
        for at, point in zip(middles, points, strict=True) if point.errors
    ]  # fmt: skip
    return join([
        _frame(panel, "Commits a second", x, y, ticks, short_count),
        *(tag("path", class_="band", d=_path([*upper[part], *reversed(lower[part])]) + "Z")
          for part in parts),
        *(tag("path", class_="line blue", d=_path(means[part])) for part in parts),
        *silences, *errors,
    ])  # fmt: skip


def _latency(points: Sequence[WorkloadPoint], panel: _Panel, x: Scale) -> Markup:
    kinds: tuple[tuple[str, str, Callable[[WorkloadPoint], float | None]], ...] = (
        ("max", "line faint", lambda point: point.max_ms),
        ("p95", "line amber", lambda point: point.p95_ms),
        ("p50", "line blue", lambda point: point.p50_ms),
    )
    values = [value for _, _, get in kinds for value in map(get, points) if value]
    ticks = decade_ticks(max(0.1, min(values, default=1)), max(values, default=10))
    y = Scale(ticks[0], ticks[-1], panel.bottom, panel.top, log=True)
    lines, legend, left = [], [], x.end
    for name, style, get in kinds:
        known = [point for point in points if get(point) is not None]
        if not known:
            continue
        places = [(x(p.at + p.seconds / 2), y(get(p) or 0.0)) for p in known]
        lines += [tag("path", class_=style, d=_path(places[s])) for s in _stretches(known)]
        left -= text_width(name) + 32
        legend.append(tag("line", class_=style, x1=left, x2=left + 14, y1=panel.y + 12.0,
                          y2=panel.y + 12.0))  # fmt: skip
        legend.append(tag("text", name, class_="tick", x=left + 18, y=panel.y + 16.0))
    frame = _frame(panel, "Latency, ms (log)", x, y, ticks, lambda value: f"{value:,g}")
    return join([frame, *lines, *legend])


def _lag(lag: Sequence[LagPoint], panel: _Panel, x: Scale, *, in_bytes: bool) -> Markup:
    known = [
        (point.at, float(value))
        for point in lag
        if (value := point.bytes if in_bytes else point.seconds) is not None
    ]
    ticks = round_ticks(max(value for _, value in known), 2)
    y = Scale(0, ticks[-1], panel.bottom, panel.top)
    line = [(x(at), y(value)) for at, value in known]
    base = [(line[-1][0], panel.bottom), (line[0][0], panel.bottom)]
    title = "Replication lag, bytes" if in_bytes else "Replication lag, s"
    show: Callable[[float], str] = human_bytes if in_bytes else (lambda value: f"{value:g}")
    return join([
        _frame(panel, title, x, y, ticks, show),
        tag("path", class_="band violet", d=_path([*line, *base]) + "Z"),
        tag("path", class_="line violet", d=_path(line)),
    ])  # fmt: skip


def _frame(
    panel: _Panel, title: str, x: Scale, y: Scale, ticks: Sequence[float],
    show: Callable[[float], str],
) -> Markup:  # fmt: skip
    parts = [tag("text", title, class_="title", x=0, y=panel.y + 16.0)]
    for value in ticks:
        at = y(value)
        parts.append(tag("line", class_="grid", x1=x.start, x2=x.end, y1=at, y2=at))
        parts.append(tag("text", show(value), class_="tick end", x=x.start - 6, y=at + 4))
    return join(parts)


def _time_axis(x: Scale, seconds: float, bottom: float, width: float) -> list[Markup]:
    parts = []
    for at in time_ticks(seconds, int(width / 75)):
        place = x(x.low + at)
        anchor = "tick end" if place > width - 30 else "tick middle"
        parts.append(tag("text", clock(at), class_=anchor, x=min(place, width), y=bottom + 17))
        parts.append(tag("line", class_="grid", x1=place, x2=place, y1=bottom, y2=bottom + 4))
    return parts


def _labels(story: Story, x: Scale, width: float) -> tuple[Markup, float]:
    """Short names of the marked events; those without room are left to the list of events."""
    marked = [event for event in story.events if event.label]
    spans, anchors = [], []
    for event in marked:
        at, wide = x(event.at), text_width(event.label) + 10
        fits = at + wide <= width
        anchors.append("" if fits else " end")
        spans.append((at - 2, at + wide) if fits else (at - wide, at + 2))
    rows = stack(spans, _LABEL_ROWS)
    used = 1 + max((row for row in rows if row is not None), default=-1)
    parts = []
    for event, anchor, row in zip(marked, anchors, rows, strict=True):
        if row is None:
            continue
        at, y = x(event.at), row * _ROW
        parts.append(tag("line", class_=_tone(event, "stem"), x1=at, x2=at, y1=y + 2,
                         y2=used * _ROW + 4))  # fmt: skip
        shift = -4.0 if anchor else 4.0
        parts.append(tag("text", event.label, class_=_tone(event, "label") + anchor,
                         x=at + shift, y=y + 11))  # fmt: skip
    return join(parts), used * _ROW + 4


def _phases(story: Story, x: Scale, top: float) -> tuple[Markup, float]:
    if not story.phases:
        return Markup(""), top
    parts = []
    for index, phase in enumerate(story.phases):
        left, right = x(phase.began), x(phase.ended)
        wide = max(1.0, right - left - 1)
        parts.append(tag("rect", tag("title", phase.name), class_=f"phase p{index % 2}", x=left,
                         y=top, width=wide, height=16))  # fmt: skip
        if text_width(phase.name) + 6 < right - left:
            parts.append(tag("text", phase.name, class_="phase-name", x=left + 5, y=top + 12))
    return join(parts), top + 20


def _marks(events: Sequence[Event], x: Scale, top: float, bottom: float) -> Markup:
    return join(
        tag("line", class_=_tone(event, "mark"), x1=x(event.at), x2=x(event.at), y1=top, y2=bottom)
        for event in events if event.label
    )  # fmt: skip


def _stretches(points: Sequence[WorkloadPoint]) -> list[slice]:
    """Where the workload ran without a hole: a line must not cross a time without samples."""
    longest = 3 * max((point.seconds for point in points), default=0.0)
    starts = [0]
    for index, (one, other) in enumerate(pairwise(points), start=1):
        if other.at - (one.at + one.seconds) > longest:
            starts.append(index)
    return [slice(one, other) for one, other in pairwise([*starts, len(points)])]


def _tone(event: Event, base: str) -> str:
    return f"{base} bad" if "kill" in event.kind or "fail" in event.kind else base


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{number(x)} {number(y)}" for x, y in points)


def _description(story: Story, points: Sequence[WorkloadPoint]) -> str:
    began = story.started
    marked = [
        f"{event.label} at {clock(event.at - began)}" for event in story.events if event.label
    ]
    parts = []
    if points:
        rates = sorted(point.rate for point in points)
        parts.append(f"Typically {rates[len(rates) // 2]:,.0f} commits a second")
    return "; ".join([*parts, *marked]) + "."
