"""Whether what was followed survives a failover of the receiving side.

While it catches up, the receiving side applies without waiting for its standbys: one
transaction after the other, each with a wait, would be too slow. A failover in that time
may lose changes that the slot has already moved past; it shows in the timeline. Once it
has caught up, every applied transaction waits, and a failover loses nothing.
"""

from __future__ import annotations

import time

from naru.errors import StoppedError
from naru.migrate import channel as channels
from naru.migrate.follow import CAUGHT_UP_BYTES, observe_lag
from naru.migrate.record import Record
from naru.migrate.retention import ANEW
from naru.migrate.settle import settle
from naru.migrate.sides import observe_server, timeline
from naru.postgres import Connection
from naru.system import SILENT, Observer

TRIAL_SECONDS = 30.0
"""How long the receiving side may take to get back to the end with waiting."""

_EVERY = 0.25


def note_timeline(record: Record, receiving: Connection) -> None:
    """Remember the receiving side's timeline, before anything is applied there."""
    record.run.remember("durable", False)
    record.run.remember("timeline", timeline(receiving))


def may_have_lost(record: Record, receiving: Connection) -> bool:
    """True if the receiving side has failed over while what it applied could be lost."""
    known = record.run.recall("timeline")
    if record.run.recall("durable", True) or known is None:
        return False
    return bool(timeline(receiving) != known)


def make_durable(record: Record, observer: Observer = SILENT) -> bool:
    """Let applied transactions wait for the receiving side's standbys, if it keeps up so.

    True if a failover there loses nothing from now on; a side without synchronous
    standbys is as durable as its own disk. False, with a note, if it would fall behind.
    Raises StoppedError if a failover may already have lost something.
    """
    with record.live.connect("durable") as live, record.other.connect("durable") as other:
        must_not_have_lost(record, other)
        if not observe_server(other).has_synchronous_standbys:
            return True
        for one in record.channels:
            channels.make_durable(one, other)
        end = time.monotonic() + TRIAL_SECONDS
        while (lag := observe_lag(record, live, other)).bytes > CAUGHT_UP_BYTES:
            if time.monotonic() > end:
                for one in record.channels:
                    channels.make_durable(one, other, durable=False)
                observer.note(
                    f"{record.other.role}: cannot keep up while it waits for its standbys"
                    f" ({lag.bytes:,} bytes behind); a failover there before the cutover would"
                    " mean to start again"
                )
                return False
            time.sleep(_EVERY)
        settle(other)
        must_not_have_lost(record, other)
        record.run.remember("durable", True)
        return True


def must_not_have_lost(record: Record, receiving: Connection) -> None:
    """Raise StoppedError if a failover of the receiving side may have lost changes."""
    if may_have_lost(record, receiving):
        raise StoppedError(
            f"{record.other} has failed over while it was catching up: changes that its new"
            " primary does not have may be missing",
            remedy=ANEW,
        )
