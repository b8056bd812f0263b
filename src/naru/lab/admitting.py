"""Who is connected to an environment from where, and the end of those who are not let in any more.

A door's own list of allowed addresses is asked when a client comes; this is for those who came
before it changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from naru.errors import DeadlineError, NotPermittedError
from naru.ground import Ground, OpenSession, outside
from naru.system import wait_until

END_SECONDS = 15.0


class Door(Protocol):
    """Where clients are connected: the endpoints, the pool, restored instances."""

    def sessions(self) -> tuple[OpenSession, ...]: ...

    def end_sessions(self, sessions: Iterable[OpenSession]) -> None: ...


def open_sessions(doors: Iterable[Door]) -> tuple[OpenSession, ...]:
    """Every client at one of these doors. A door that does not answer has none."""
    return tuple(session for door in doors for session in door.sessions())


def outsiders(ground: Ground, doors: Iterable[Door]) -> tuple[OpenSession, ...]:
    """Those who are connected and would not be let in now."""
    return outside(open_sessions(doors), ground.allowed())


def end_outsiders(ground: Ground, doors: Sequence[Door]) -> tuple[OpenSession, ...]:
    """End all of them, open transactions too; who they were.

    Raises NotPermittedError when this account may not, and DeadlineError when some do not end;
    both name them.
    """
    ended: dict[tuple[str, str, int], OpenSession] = {}
    left: tuple[OpenSession, ...] = ()

    def none_left() -> bool:
        nonlocal left
        left = outsiders(ground, doors)
        ended.update({(one.door, one.address, one.port): one for one in left})
        for door in doors if left else ():
            door.end_sessions(left)
        return not left

    try:
        wait_until(none_left, "sessions from elsewhere to end", END_SECONDS)
    except NotPermittedError as error:
        raise NotPermittedError(
            f"sessions from addresses that are not let in stay open: {error.message}: "
            f"{told(outsiders(ground, doors))}",
            remedy="run `naru service access --end` as root",
        ) from error
    except DeadlineError as error:
        raise DeadlineError(
            f"{error.message}: {told(left)}",
            remedy="see who they are by `naru service access`, and end them at their own side",
        ) from None
    return tuple(ended.values())


def told(sessions: Sequence[OpenSession]) -> str:
    """From where, at which door, how many: in one line, the most first."""
    counts: dict[tuple[str, str], int] = {}
    for one in sessions:
        counts[one.address, one.door] = counts.get((one.address, one.door), 0) + 1
    most = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown = [f"{address} at {door}: {count}" for (address, door), count in most[:_SHOWN]]
    more = len(most) - _SHOWN
    return ", ".join(shown) + (f", and {more} more" if more > 0 else "")


_SHOWN = 8
