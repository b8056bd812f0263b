"""What a status warns of, in words that have a runbook each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from naru.cli import talk

if TYPE_CHECKING:
    from naru.service import Alarm


def put_alarms(alarms: Sequence[Alarm]) -> None:
    """Name each word once, and where it is said what to do; nothing when all is well."""
    from naru.service import RUNBOOKS

    words = list(dict.fromkeys(one.word for one in alarms))
    if words:
        talk.put(f"alarms: {', '.join(words)} (what to do: {RUNBOOKS}, under that word)")
