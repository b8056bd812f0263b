"""A moment magnified: every acknowledged commit as a dot, and where the milliseconds went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from naru.report._axes import Scale, inner_ticks, text_width
from naru.report._markup import Markup, join, number, tag
from naru.report.story import Commit, PauseStep
from naru.system.units import human_ms

_LANE = 13.0
_MOST_LANES = 32
_LEFT, _RIGHT = 58.0, 14.0


@dataclass(frozen=True)
class Mark:
    """A moment to be named in the close-up."""

    at: float
    label: str
    bad: bool = False


def closeup(
    commits: Sequence[Commit], gap: tuple[float, float], width: float, title: str,
    marks: Sequence[Mark] = (),
) -> Markup:  # fmt: skip
    """Commits around `gap`, one lane for each client; the time axis counts from its beginning."""
    zero, end = gap
    edge = min(3.0, max(0.15, (end - zero) * 0.6))
    x = Scale(zero - edge, end + edge, _LEFT, width - _RIGHT)
    near = [commit for commit in commits if x.low <= commit.at <= x.high]
    lanes = _lanes(near)
    top = 36.0 + (16.0 if marks else 0.0)
    bottom = top + max(3, len(lanes)) * _LANE
    return tag(
        "svg", tag("title", title),
        tag("desc", f"{len(near):,} acknowledged commits; none for {_span(end - zero)}."),
        tag("rect", class_="gap", x=x(zero), width=x(end) - x(zero), y=top, height=bottom - top),
        _bracket(x(zero), x(end), top, _span(end - zero), width),
        *_lane_names(lanes, top),
        _waits(near, lanes, x, top), _dots(near, lanes, x, top),
        _mark_lines(marks, x, top, bottom),
        *_axis(x, zero, bottom, width),
        viewBox=f"0 0 {number(width)} {number(bottom + 38)}", role="img", class_="closeup",
    )  # fmt: skip


def waterfall(steps: Sequence[PauseStep], width: float) -> Markup:
    """The pause as a stacked bar unrolled: each row begins where the one above ended."""
    total = sum(step.ms for step in steps)
    names = min(width * 0.34, max(text_width(step.name, 13) for step in steps) + 14)
    x = Scale(0, max(total, 1e-9), names, width - 78)
    parts, begin = [], 0.0
    for index, step in enumerate(steps):
        y = index * 24.0
        left, right = x(begin), x(begin + step.ms)
        begin += step.ms
        parts += [
            tag("line", class_="grid", x1=names, x2=width, y1=y + 24, y2=y + 24),
            tag("text", step.name, class_="row", x=0, y=y + 16),
            tag("rect", class_="step", x=left, width=max(1.5, right - left), y=y + 5, height=14),
            tag("text", human_ms(step.ms), class_="row figure end", x=width, y=y + 16),
        ]
    y = len(steps) * 24.0
    parts += [
        tag("text", "together", class_="row strong", x=0, y=y + 17),
        tag("text", human_ms(total), class_="row strong figure end", x=width, y=y + 17),
    ]
    listed = ", ".join(f"{step.name} {human_ms(step.ms)}" for step in steps)
    return tag(
        "svg", tag("title", "Where the milliseconds of the pause went"),
        tag("desc", f"{listed}; together {human_ms(total)}."), *parts,
        viewBox=f"0 0 {number(width)} {number(y + 24)}", role="img", class_="waterfall",
    )  # fmt: skip


def _lanes(commits: Sequence[Commit]) -> dict[int | None, int]:
    clients = sorted({-1 if commit.client is None else commit.client for commit in commits})
    return {
        (None if client == -1 else client): lane % _MOST_LANES
        for lane, client in enumerate(clients)
    }


def _lane_names(lanes: dict[int | None, int], top: float) -> list[Markup]:
    middle = top + len(lanes) * _LANE / 2 + 4
    if not lanes or None in lanes:
        return [tag("text", "commits", class_="tick end", x=_LEFT - 8, y=top + _LANE / 2 + 4)]
    if len(lanes) == 1:
        return [tag("text", "client", class_="tick end", x=_LEFT - 8, y=middle)]
    return [
        tag("text", f"{len(lanes)} clients", class_="tick end", x=_LEFT - 8, y=middle),
    ]


def _dots(commits: Sequence[Commit], lanes: dict[int | None, int], x: Scale, top: float) -> Markup:
    """A dot for each commit; those that would hide one another are drawn once."""
    places = {(lanes[commit.client], round(x(commit.at) * 2) / 2) for commit in commits}
    return join(
        tag("circle", class_="dot", cx=at, cy=top + (lane + 0.5) * _LANE, r=2.2)
        for lane, at in sorted(places)
    )


def _waits(commits: Sequence[Commit], lanes: dict[int | None, int], x: Scale, top: float) -> Markup:
    """A line from the beginning of each transaction that took visibly long to its commit."""
    lines = []
    for commit in commits:
        left = x(commit.at - (commit.ms or 0.0) / 1000)
        if x(commit.at) - left >= 6:
            y = top + (lanes[commit.client] + 0.5) * _LANE
            lines.append(tag("line", class_="wait", x1=left, x2=x(commit.at), y1=y, y2=y))
    return join(lines)


def _bracket(left: float, right: float, top: float, text: str, width: float) -> Markup:
    y = 22.0
    label = f"{text} without a commit"
    half = text_width(label, 13) / 2
    middle = min(width - half - 2, max(half + 2, (left + right) / 2))
    return join([
        tag("path", class_="bracket",
            d=f"M{number(left)} {number(y + 6)}V{number(y)}H{number(right)}V{number(y + 6)}"),
        tag("text", label, class_="row strong middle", x=middle, y=y - 7),
    ])  # fmt: skip


def _mark_lines(marks: Sequence[Mark], x: Scale, top: float, bottom: float) -> Markup:
    parts = []
    for mark in marks:
        if not x.low <= mark.at <= x.high:
            continue
        at, tone = x(mark.at), " bad" if mark.bad else ""
        flip = at + text_width(mark.label) + 8 > x.end
        parts.append(tag("line", class_=f"mark{tone}", x1=at, x2=at, y1=top - 14, y2=bottom))
        parts.append(tag("text", mark.label, class_=f"label{tone}{' end' if flip else ''}",
                         x=at - 4 if flip else at + 4, y=top - 5))  # fmt: skip
    return join(parts)


def _axis(x: Scale, zero: float, bottom: float, width: float) -> list[Markup]:
    in_seconds = x.high - x.low > 4
    unit = 1.0 if in_seconds else 1000.0
    parts = [tag("line", class_="grid", x1=x.start, x2=x.end, y1=bottom, y2=bottom)]
    low, high = (x.low - zero) * unit, (x.high - zero) * unit
    for value in inner_ticks(low, high, int(width / 110)):
        at = x(zero + value / unit)
        text = f"{value:g}".replace("-", "\N{MINUS SIGN}")
        parts.append(tag("line", class_="grid", x1=at, x2=at, y1=bottom, y2=bottom + 4))
        parts.append(tag("text", text, class_="tick middle", x=at, y=bottom + 17))
    name = "seconds" if in_seconds else "milliseconds"
    parts.append(tag("text", f"{name} since the last commit before the silence", class_="tick end",
                     x=x.end, y=bottom + 33))  # fmt: skip
    return parts


def _span(seconds: float) -> str:
    return human_ms(seconds * 1000) if seconds < 1 else f"{seconds:.2f} s"
