"""Between which versions of PostgreSQL moves are tested, each there, back and there again."""

from __future__ import annotations

from typing import Final

OLDEST: Final = 12
"""The oldest source whose catalogs have what is asked of them."""

SOURCES: Final = (13, 15, 17)
TARGETS: Final = (16, 17, 18)


def is_tested(source: int, target: int) -> bool:
    """True if both majors lie in the tested ranges, and the target is not the older one."""
    return SOURCES[0] <= source <= target and TARGETS[0] <= target <= TARGETS[-1]


def proven_moves() -> str:
    """What is tested, in words."""
    return f"from PostgreSQL {_listed(SOURCES)} to {_listed(TARGETS)}"


def _listed(majors: tuple[int, ...]) -> str:
    return f"{', '.join(map(str, majors[:-1]))} and {majors[-1]}"
