"""Scales, ticks and text widths: the arithmetic of a chart, without any drawing."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

_TIME_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400)


@dataclass(frozen=True)
class Scale:
    """Maps values from `low` to `high` onto pixels from `start` to `end`; clamped."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high, value = self.low, self.high, min(self.high, max(self.low, value))
        if self.log:
            low, high, value = math.log10(low), math.log10(high), math.log10(value)
        share = (value - low) / (high - low) if high > low else 0.0
        return self.start + share * (self.end - self.start)


def round_ticks(high: float, count: int) -> list[float]:
    """From zero in steps of 1, 2 or 5 times a power of ten; the last is at `high` or above."""
    if high <= 0:
        return [0.0, 1.0]
    step = _round_step(high / max(1, count))
    return [step * index for index in range(math.ceil(high / step - 1e-9) + 1)]


def inner_ticks(low: float, high: float, count: int) -> list[float]:
    """Round values inside `low` to `high`."""
    step = _round_step((high - low) / max(1, count))
    first = math.ceil(low / step - 1e-9)
    return [step * index for index in range(first, math.floor(high / step + 1e-9) + 1)]


def time_ticks(seconds: float, count: int) -> list[float]:
    """Points of a time axis in steps that clocks know."""
    wanted = seconds / max(1, count)
    step = next((step for step in _TIME_STEPS if step >= wanted), _TIME_STEPS[-1])
    step *= max(1, math.ceil(wanted / step))
    return [float(at) for at in range(0, int(seconds) + 1, step)]


def decade_ticks(low: float, high: float) -> list[float]:
    """Powers of ten that hold `low` to `high`, both ends included."""
    first = math.floor(math.log10(low) + 1e-9)
    last = max(first + 1, math.ceil(math.log10(high) - 1e-9))
    return [10.0**power for power in range(first, last + 1)]


def text_width(text: str, size: float = 11.0) -> float:
    """About how wide a text will be, in pixels; Korean letters are twice as wide."""
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return size * (0.6 * (len(text) - wide) + 1.0 * wide)


def stack(spans: Sequence[tuple[float, float]], rows: int) -> list[int | None]:
    """A row for each span from left to right so that none overlap; None where none is free."""
    ends = [-math.inf] * rows
    placed: list[int | None] = [None] * len(spans)
    for index in sorted(range(len(spans)), key=lambda index: spans[index]):
        begin, end = spans[index]
        free = next((row for row in range(rows) if ends[row] <= begin), None)
        if free is not None:
            ends[free] = end
        placed[index] = free
    return placed


def _round_step(wanted: float) -> float:
    power = 10.0 ** math.floor(math.log10(wanted)) if wanted > 0 else 1.0
    return next((m * power for m in (1, 2, 5, 10) if m * power >= wanted * (1 - 1e-9)), 10 * power)
