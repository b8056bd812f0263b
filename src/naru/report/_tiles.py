"""The key figures on top: each with what was promised, or an honest `not run`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from naru.report._markup import Markup, tag
from naru.report.story import Copy, Cutover, Failover, Story, Targets, Verification
from naru.report.verdict import exactness
from naru.system.units import human_bytes, human_count, human_ms, human_seconds, short_count


@dataclass(frozen=True)
class Tile:
    """One key figure; `good` None means that nothing was promised or nothing was measured."""

    label: str
    value: str
    note: str
    good: bool | None = None


def tiles(story: Story) -> list[Tile]:
    """The key figures of a story in the order of the run."""
    return [
        _copy(story.copy),
        _pause(story.cutover, story.targets),
        _errors(story.cutover),
        _kept(story),
        _verification(story.verification),
        _failover(story.failover, story.targets),
    ]


def draw(tile: Tile) -> Markup:
    """One tile as markup; the sign says what the colour says."""
    state = {True: "good", False: "bad", None: "plain"}[tile.good]
    sign = {True: "✓ ", False: "✗ ", None: ""}[tile.good]
    empty = " empty" if tile.value == _NOT_RUN else ""
    return tag(
        "div", tag("dt", tile.label), tag("dd", tile.value, class_="value"),
        tag("dd", f"{sign}{tile.note}", class_="note"), class_=f"tile {state}{empty}",
    )  # fmt: skip


_NOT_RUN = "not run"
_NOT_MEASURED = "not measured"


def _copy(copy: Copy | None) -> Tile:
    if copy is None:
        return Tile("Copied", _NOT_RUN, "")
    note = (
        f"{human_count(copy.tables)} tables, {short_count(copy.rows)} rows "
        f"in {human_seconds(copy.seconds)}"
    )
    return Tile("Copied", human_bytes(copy.bytes), note)


def _pause(cutover: Cutover | None, targets: Targets) -> Tile:
    if cutover is None:
        return Tile("Write pause", _NOT_RUN, "")
    promise = f"promised at most {human_ms(targets.write_pause_ms)}"
    if cutover.write_pause_ms is not None:
        kept = cutover.write_pause_ms <= targets.write_pause_ms
        return Tile("Write pause", human_ms(cutover.write_pause_ms), promise, kept)
    if cutover.pause_ms is not None:
        return Tile(
            "Write pause", human_ms(cutover.pause_ms), "by Naru's clock; no clients measured"
        )
    return Tile("Write pause", _NOT_MEASURED, promise)


def _errors(cutover: Cutover | None) -> Tile:
    if cutover is None:
        return Tile("Client errors at the cutover", _NOT_RUN, "")
    if cutover.client_errors is None:
        return Tile("Client errors at the cutover", _NOT_MEASURED, "")
    good = cutover.client_errors == 0
    return Tile("Client errors at the cutover", human_count(cutover.client_errors),
                "none promised", good)  # fmt: skip


def _kept(story: Story) -> Tile:
    """Lost and duplicated commits of all parts together."""
    label = "Lost or duplicated"
    parts = [part for part in (story.cutover, story.failover, *story.ledger) if part is not None]
    if not parts:
        return Tile(label, _NOT_RUN, "")
    numbers = [number for part in parts for number in (part.lost, part.duplicated)]
    known = [number for number in numbers if number is not None]
    if not known:
        return Tile(label, _NOT_MEASURED, "")
    acknowledged = max((part.acknowledged or 0 for part in parts), default=0)
    note = f"of {human_count(acknowledged)} acknowledged commits" if acknowledged else "commits"
    worst = max(_sum(part.lost, part.duplicated) for part in parts)
    if worst:
        return Tile(label, human_count(worst), note, False)
    if len(known) < len(numbers):
        return Tile(label, "0", "so far as it was counted")
    return Tile(label, "0", note, True)


def _verification(verification: Verification | None) -> Tile:
    if verification is None:
        return Tile("Differences", _NOT_RUN, "")
    note = f"in {short_count(verification.rows)} rows, {exactness(verification)}"
    good = None
    if verification.differences or verification.exact_at_lsn is not None:
        good = verification.differences == 0 and not verification.not_reached
    return Tile("Differences", human_count(verification.differences), note, good)


def _failover(failover: Failover | None, targets: Targets) -> Tile:
    label = "Writes again after a kill"
    if failover is None:
        return Tile(label, _NOT_RUN, "")
    promise = f"promised within {targets.failover_seconds:g} s"
    if failover.seconds is None:
        return Tile(label, "never", promise, False)
    kept = failover.seconds <= targets.failover_seconds
    return Tile(label, human_seconds(failover.seconds), promise, kept)


def _sum(*numbers: int | None) -> int:
    return sum(number or 0 for number in numbers)


def all_tiles(story: Story) -> Iterator[Markup]:
    """Every tile, drawn."""
    return map(draw, tiles(story))
