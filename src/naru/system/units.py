"""Figures as people read them: bytes, counts, durations. One rounding everywhere."""

from __future__ import annotations

import re

from naru.errors import UsageError

_BYTES = ("B", "kB", "MB", "GB", "TB", "PB")
_COUNTS = (("", 1), ("k", 10**3), ("M", 10**6), ("G", 10**9), ("T", 10**12))


def human_bytes(value: float) -> str:
    """Decimal sizes with three significant digits: `0 B`, `512 MB`, `1.24 GB`."""
    size = float(abs(value))
    unit = 0
    while size >= 999.5 and unit < len(_BYTES) - 1:
        size /= 1000
        unit += 1
    sign = "-" if value < 0 else ""
    return f"{sign}{size:.0f} B" if unit == 0 else f"{sign}{_three(size)} {_BYTES[unit]}"


def parse_bytes(text: str) -> int:
    """The bytes that `20GB`, `1.5 TB`, `512MiB` or `4096` mean. Raises UsageError."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(?:([kmgtp]?)(i?)b?)\s*", text, re.IGNORECASE)
    if found is None:
        raise UsageError(f"{text!r} is no size", remedy="write a number and a unit, such as 20GB")
    number, letter, binary = found[1], found[2].lower(), found[3]
    power = "kmgtp".index(letter) + 1 if letter else 0
    return int(float(number) * (1024 if binary else 1000) ** power)


_SECONDS = {"ms": 0.001, "": 1, "s": 1, "min": 60, "h": 3600, "d": 86400}


def parse_seconds(text: str) -> float:
    """The seconds that `90`, `90s`, `10min`, `2h`, `7d` mean. Raises UsageError."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", text)
    if found is None or found[2] not in _SECONDS:
        raise UsageError(
            f"{text!r} is no time", remedy="write a number and a unit, such as 90s, 10min, 2h, 7d"
        )
    return float(found[1]) * _SECONDS[found[2]]


def human_count(value: float) -> str:
    """Whole numbers with thousands separated: `2,041,332`."""
    return f"{round(value):,}"


def short_count(value: float) -> str:
    """Counts where room is short, with three significant digits: `999`, `12.4k`, `2.04M`."""
    size = float(abs(value))
    sign = "-" if value < 0 else ""
    for letter, factor in _COUNTS:
        if size / factor < 999.5:
            number = f"{size:.0f}" if factor == 1 else _three(size / factor)
            return f"{sign}{number}{letter}"
    return f"{sign}{size / 10**12:.0f}T"


def human_seconds(value: float) -> str:
    """Durations: `340 ms`, `2.4 s`, `41 s`, `3 min 05 s`, `2 h 10 min`."""
    if value < 0.9995:
        return f"{value * 1000:.0f} ms"
    if value < 9.95:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def human_ms(value: float) -> str:
    """Milliseconds as milliseconds: `0.42 ms`, `8.3 ms`, `1,420 ms`."""
    if value < 0.995:
        return f"{value:.2f} ms"
    return f"{value:.1f} ms" if value < 9.95 else f"{value:,.0f} ms"


def clock(seconds: float) -> str:
    """A point on a time axis: `0:07`, `12:30`, `1:02:30`."""
    whole = round(abs(seconds))
    sign = "-" if seconds < 0 and whole else ""
    hours, rest = divmod(whole, 3600)
    if hours:
        return f"{sign}{hours}:{rest // 60:02}:{rest % 60:02}"
    return f"{sign}{rest // 60}:{rest % 60:02}"


def _three(value: float) -> str:
    digits = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:.{digits}f}"
