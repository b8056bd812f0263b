"""The verdict: a pure function of what was measured against what is promised."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from naru.report.story import Cutover, Failover, Ledger, Story, Verification
from naru.system.units import human_count, human_ms, human_seconds

PASSED = "passed"
FAILED = "failed"
INCOMPLETE = "incomplete"


@dataclass(frozen=True)
class Verdict:
    """`word` is passed, failed or incomplete; `broken` and `missing` say why in short phrases."""

    word: str
    sentence: str
    broken: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def judge(story: Story) -> Verdict:
    """Failed if any promise broke; passed only if every expected part was run and measured."""
    broken = tuple(_broken(story))
    missing = tuple(_missing(story))
    if broken:
        return Verdict(FAILED, f"{_opening(story)}: {_join(broken)}.", broken, missing)
    if missing:
        return Verdict(INCOMPLETE, f"Not the whole story yet: {_join(missing)}.", (), missing)
    return Verdict(PASSED, _praise(story))


def _opening(story: Story) -> str:
    return "A promise broke" if story.failure is None else "The run did not reach its end"


def _broken(story: Story) -> Iterator[str]:
    if story.failure is not None:
        yield story.failure.rstrip(".")
    if story.cutover is not None:
        yield from _broken_cutover(story.cutover, story.targets.write_pause_ms)
    if story.verification is not None and story.verification.differences:
        yield f"{_count(story.verification.differences, 'difference')} between the two sides"
    if story.failover is not None:
        yield from _broken_failover(story.failover, story.targets.failover_seconds)
    parts = [part for part in (story.cutover, story.failover) if part is not None]
    if not any(part.lost or part.duplicated for part in parts):
        # Rows of the ledger repeat what the parts say: only news is told.
        yield from _broken_ledger(story.ledger)


def _broken_cutover(cutover: Cutover, most: float) -> Iterator[str]:
    if cutover.write_pause_ms is not None and cutover.write_pause_ms > most:
        yield f"writes paused for {human_ms(cutover.write_pause_ms)} ({human_ms(most)} promised)"
    if cutover.client_errors:
        yield f"{_count(cutover.client_errors, 'client error')} at the cutover"
    yield from _unkept(cutover.lost, cutover.duplicated, "at the cutover")


def _broken_failover(failover: Failover, most: float) -> Iterator[str]:
    if failover.seconds is None:
        yield "writes did not come back after the primary was killed"
    elif failover.seconds > most:
        yield (f"writes came back after {human_seconds(failover.seconds)} ({most:g} s promised)")
    yield from _unkept(failover.lost, failover.duplicated, "in the failover")


def _broken_ledger(ledger: tuple[Ledger, ...]) -> Iterator[str]:
    for row in ledger:
        yield from _unkept(row.lost, row.duplicated, f"({row.scope})")


def _unkept(lost: int | None, duplicated: int | None, where: str) -> Iterator[str]:
    if lost:
        yield f"{_count(lost, 'acknowledged commit')} lost {where}"
    if duplicated:
        yield f"{_count(duplicated, 'commit')} duplicated {where}"


def _missing(story: Story) -> Iterator[str]:
    names = {"copy": "copy", "cutover": "cutover", "verification": "verification",
             "failover": "failover"}  # fmt: skip
    for part, name in names.items():
        if part in story.expects and getattr(story, part) is None:
            yield f"the {name} was not run"
    if story.verification is not None and story.verification.exact_at_lsn is None:
        yield "the verification was live, not exact"
    if story.verification is not None and story.verification.not_reached:
        yield f"{_count(story.verification.not_reached, 'table')} not compared at the switch"
    if story.cutover is not None and story.cutover.write_pause_ms is None:
        yield "no clients were measured at the cutover"
    elif story.cutover is not None and _unaccounted(story.cutover):
        yield "the commits of the cutover were not accounted for"
    if story.failover is not None and _unaccounted(story.failover):
        yield "the commits of the failover were not accounted for"


def _unaccounted(part: Cutover | Failover) -> bool:
    return part.lost is None or part.duplicated is None or part.client_errors is None


def _praise(story: Story) -> str:
    parts = []
    cutover = story.cutover
    if cutover is not None and cutover.write_pause_ms is not None:
        parts.append(f"writes paused for {human_ms(cutover.write_pause_ms)}")
        parts.append("no client saw an error")
    parts.append("nothing acknowledged was lost")
    if story.verification is not None:
        parts.append(f"all {human_count(story.verification.rows)} rows are the same")
    crossed = f"The database crossed: {_join(tuple(parts))}."
    if story.failover is not None and story.failover.seconds is not None:
        took = human_seconds(story.failover.seconds)
        crossed += f" Killing its primary stopped writes for {took} and lost nothing."
    return crossed


def exactness(verification: Verification) -> str:
    """How far the comparison can be trusted, in a few words."""
    if verification.exact_at_lsn is None:
        return "compared live"
    left = _count(verification.not_reached, "table")
    but = f", {left} not reached" if verification.not_reached else ""
    return f"exact at {verification.exact_at_lsn}{but}"


def _count(number: int, noun: str) -> str:
    return f"{human_count(number)} {noun}{'' if number == 1 else 's'}"


def _join(phrases: tuple[str, ...]) -> str:
    if len(phrases) < 3:
        return " and ".join(phrases)
    return f"{', '.join(phrases[:-1])}, and {phrases[-1]}"
