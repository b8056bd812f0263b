"""What `naru migrate status` shows of a migration, for people and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from naru.cli import talk

if TYPE_CHECKING:
    from naru.migrate import Status
    from naru.migrate.holders import Holding


def show_status(seen: Sequence[Status], json: bool, *, every: bool) -> None:
    """What was seen of a migration, or with `every` of all of them."""
    if json and every:
        talk.put_json({"migrations": [one.to_json() for one in seen]})
    elif json:
        talk.put_json(seen[0].to_json())
    else:
        for place, one in enumerate(seen):
            if place:
                talk.put("")
            _put_status(one)


def _put_status(seen: Status) -> None:
    talk.put(f"migration\t{seen.name}\t{seen.state}")
    if seen.owner:
        talk.put(f"part of\t{seen.owner.what}\t{seen.owner.command}")
    talk.put(f"writes at\t{seen.at}")
    talk.put(f"step\t{seen.step}\t{seen.step_state}")
    if seen.copied:
        talk.put(f"copied\t{seen.copied.rows} rows\t{seen.copied.bytes} bytes")
    if seen.snapshot:
        _show_snapshot(seen.snapshot)
    if seen.lag:
        lag = seen.lag
        talk.put(f"lag\t{lag.bytes} bytes\t{lag.seconds:.2f} s")
        talk.put(f"slot\t{lag.retained_bytes} bytes of WAL held back\t{lag.wal_status}")
        talk.put(f"following\t{'yes' if lag.connected else 'no'}\t{lag.errors} errors")
        if lag.applies_a_large_one:
            talk.put(f"applying\tone transaction for {lag.applying.seconds:.0f} s")
    if seen.retention and seen.retention.level != "ok":
        talk.put(f"{seen.retention.level}\t{seen.retention.text}")
    if seen.problem:
        talk.put(f"problem\t{seen.problem}")


def _show_snapshot(held: Holding) -> None:
    from naru.system.units import human_count, human_seconds

    end = "" if held.left_seconds is None else f"\tgiven back in {human_seconds(held.left_seconds)}"
    talk.put(
        f"snapshot\theld for {human_seconds(held.seconds)} by process {held.process}"
        f"\tvacuum held back by {human_count(held.transactions)} transactions{end}"
    )
