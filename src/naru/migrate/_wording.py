"""How findings name amounts and lists."""

from __future__ import annotations

from naru.migrate.facts import Names


def listed(names: Names, most: int = 3) -> str:
    """The first names, and how many more there are."""
    shown = ", ".join(names.first[:most])
    left = names.total - len(names.first[:most])
    return f"{shown} and {left} more" if left else shown


def amount(count: float) -> str:
    """Bytes, for people."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 10_000:
            return f"{count:,.0f} {unit}"
        count /= 1024
    return f"{count:,.0f} TB"
