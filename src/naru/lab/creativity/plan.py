"""How many rows each table gets, and in which pieces of work. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from naru.errors import UsageError

SMALLEST, LARGEST = 0.001, 1000.0
"""Scales between which all numbers fit their columns."""

CHUNK = 60_000
"""Rows in one statement: seconds of work, and often enough progress to show."""

_AT_SCALE_ONE = {
    "organizations": 2_000,
    "users": 60_000,
    "projects": 80_000,
    "user_projects": 280_000,
    "project_activity": 700_000,
    "comments": 240_000,
    "notifications": 160_000,
    "audit_log": 160_000,
    "sessions": 90_000,
    "products": 2_000,
    "orders": 120_000,
    "invoices": 60_000,
    "bookings": 12_000,
    "thumbnails": 2_000,
    "attachments": 320,
}
_SMALLEST_TABLE = 40
_FIXED = {"tags": 400, "studios": 100, "daily_stats": 5_000, "monthly_report": 60}

# Working a row takes more where it has more text, or bytes; only to begin with the longest.
_COST = {"comments": 3.0, "users": 3.0, "projects": 4.0, "invoices": 2.0, "attachments": 800.0,
         "thumbnails": 200.0, "project_activity": 2.0}  # fmt: skip


@dataclass(frozen=True)
class Chunk:
    """Rows `first` to `last`, both included, of one table's content."""

    table: str
    first: int
    last: int

    @property
    def cost(self) -> float:
        """Work compared to other chunks."""
        return (self.last - self.first + 1) * _COST.get(self.table, 1.0)


def sizes(scale: float) -> dict[str, int]:
    """Rows for each content file at `scale`. Raises UsageError for a scale out of bounds."""
    if not SMALLEST <= scale <= LARGEST:
        raise UsageError(
            f"a scale of {scale:g} is out of bounds",
            remedy=f"give one from {SMALLEST:g} to {LARGEST:g}; 1 is about 500 MB",
        )
    rows = {
        table: max(_SMALLEST_TABLE, round(base * scale)) for table, base in _AT_SCALE_ONE.items()
    }
    rows |= _FIXED
    rows["inventory"] = rows["products"]
    rows["price_history"] = 4 * rows["products"]
    rows["project_tags"] = 2 * rows["projects"]
    return rows


def rounds(rows: Mapping[str, int]) -> int:
    """How many projects the most active users have joined: user_projects goes in rounds."""
    return -(-rows["user_projects"] // rows["users"])


def chunks(rows: Mapping[str, int], size: int = CHUNK) -> list[Chunk]:
    """All rows of all tables in pieces of at most `size` rows, the most costly first."""
    pieces = [
        Chunk(table, first, min(first + size - 1, count))
        for table, count in rows.items()
        for first in range(1, count + 1, size)
    ]
    return sorted(pieces, key=lambda piece: -piece.cost)


def paragraphs(text: str) -> list[str]:
    """The pieces of a .sql file that empty lines part, without those that are only comments."""
    found = (piece.strip() for piece in text.split("\n\n"))
    return [
        piece for piece in found if any(not line.startswith("--") for line in piece.splitlines())
    ]
