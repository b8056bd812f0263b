"""Positions in the write-ahead log."""

from __future__ import annotations

from typing import Self

from naru.errors import UsageError


class Lsn(int):
    """A WAL position in bytes; prints and parses as PostgreSQL does (`16/B374D848`).

    The difference of two positions is a number of bytes.
    """

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `high/low` in hexadecimal. Raises UsageError for anything else."""
        high, slash, low = text.partition("/")
        try:
            if not slash:
                raise ValueError(text)
            return cls((int(high, 16) << 32) | int(low, 16))
        except ValueError:
            raise UsageError(f"{text!r} is not a WAL position such as 16/B374D848") from None

    def __str__(self) -> str:
        return f"{self >> 32:X}/{self & 0xFFFFFFFF:X}"

    def __repr__(self) -> str:
        return f"Lsn({self})"
