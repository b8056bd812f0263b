"""The sections of the page: each takes the story and gives markup; what was not run says so."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from naru.report._closeup import Mark, closeup, waterfall
from naru.report._document import iso
from naru.report._markup import Child, Markup, join, tag
from naru.report._timeline import timeline
from naru.report.series import longest_gap
from naru.report.story import Cutover, Event, Failover, Ledger, Story, TableVerdict
from naru.report.verdict import exactness
from naru.system.units import clock, human_count, human_ms, human_seconds

WIDE, NARROW = 1080.0, 350.0
_MOST_TABLES = 60
_MOST_EVENTS = 300


def both_widths(draw: Callable[[float], Markup]) -> Markup:
    """A drawing for a desk and one for a phone; the style sheet shows the one that fits."""
    return join([
        tag("div", draw(WIDE), class_="wide"), tag("div", draw(NARROW), class_="narrow"),
    ])  # fmt: skip


def run_section(story: Story) -> Markup:
    """Throughput, latency and lag over the whole run."""
    if not (story.workload or story.lag):
        return _section("The run", _not_run("No workload or lag was recorded."))
    return _section(
        "The run",
        _lead("All on one time axis, minutes and seconds since the start. Where one pixel stands "
              "for several samples, the shaded band runs from the lowest to the highest rate, "
              "and latencies are the worst of them."),
        tag("figure", both_widths(lambda width: timeline(story, width)),
            tag("p", class_="readout", aria_hidden="true"), id="timeline"),
    )  # fmt: skip


def cutover_section(story: Story) -> Markup:
    """The write pause, magnified."""
    cutover = story.cutover
    if cutover is None:
        return _section("The cutover", _not_run("The cutover was not run."))
    parts: list[Child] = [_cutover_lead(cutover)]
    gap = longest_gap(cutover.commits)
    if gap is not None:
        title = "Acknowledged commits around the cutover"
        parts.append(tag("figure", both_widths(
            lambda width: closeup(cutover.commits, gap, width, title)),
            tag("figcaption", "Each dot is one acknowledged commit; a line before a dot is that "
                "transaction waiting.")))  # fmt: skip
    if cutover.steps:
        parts.append(tag("h3", "Where each millisecond went"))
        parts.append(tag("figure", both_widths(lambda width: waterfall(cutover.steps, width))))
    return _section("The cutover", *parts)


def verification_section(story: Story) -> Markup:
    """Table by table: are both sides the same."""
    verification = story.verification
    if verification is None:
        return _section("Verification", _not_run("The two sides were not compared."))
    words = "no differences"
    if verification.differences:
        words = f"{human_count(verification.differences)} differences"
    lead = (
        f"{human_count(verification.tables)} tables, {human_count(verification.rows)} rows, "
        f"{words}, {exactness(verification)}, in {human_seconds(verification.seconds)}."
    )
    return _section("Verification", _lead(lead), _tables(verification.details))


def failover_section(story: Story) -> Markup:
    """The primary killed, magnified."""
    failover = story.failover
    if failover is None:
        return _section("The failover", _not_run("No failover was run."))
    parts: list[Child] = [_failover_lead(failover)]
    gap = longest_gap(failover.commits)
    if gap is not None:
        marks = [] if failover.at is None else [Mark(failover.at, "primary killed", bad=True)]
        title = "Acknowledged commits around the kill of the primary"
        parts.append(tag("figure", both_widths(
            lambda width: closeup(failover.commits, gap, width, title, marks))))  # fmt: skip
    return _section("The failover", *parts)


def ledger_section(story: Story) -> Markup:
    """What clients were told, against what the database holds."""
    if not story.ledger:
        return _section("The ledger", _not_run("No ledger was kept."))
    heads = ("stretch", "acknowledged", "lost", "duplicated", "failed", "unknown")
    return _section(
        "The ledger",
        _lead("Every id that a client was told is committed must exist exactly once; a failed one "
              "was told so, an unknown one lost its connection before the answer."),
        _table(heads, [_ledger_row(row) for row in story.ledger], numbers=5),
    )  # fmt: skip


def events_section(story: Story) -> Markup:
    """What happened, in order."""
    if not story.events:
        return _section("Events", _not_run("No events were recorded."))
    shown = _shown(story.events)
    rows = [
        tag("tr", tag("td", clock(event.at - story.started), class_="figure"),
            tag("td", tag("time", (iso(event.at) or "")[11:23], datetime=iso(event.at)),
                class_="figure faint"),
            tag("td", event.text))
        for event in shown
    ]  # fmt: skip
    hidden = len(story.events) - len(shown)
    return _section(
        "Events", _table(("since start", "UTC", "what happened"), rows, numbers=0, class_="events"),
        _more(hidden, "events stand in report.json"),
    )  # fmt: skip


def environment_section(story: Story) -> Markup:
    """What was run."""
    if not story.environment:
        return Markup("")
    pairs = [
        tag("div", tag("dt", name), tag("dd", value), class_="fact")
        for name, value in story.environment
    ]
    return _section("What was run", tag("dl", *pairs))


def _cutover_lead(cutover: Cutover) -> Markup:
    sentences = []
    if cutover.write_pause_ms is not None:
        sentences.append(f"Clients saw no commit for {human_ms(cutover.write_pause_ms)}.")
    if cutover.pause_ms is not None:
        sentences.append(f"Naru held writes for {human_ms(cutover.pause_ms)}, pause to resume.")
    if cutover.acknowledged is not None:
        sentences.append(
            f"{human_count(cutover.acknowledged)} commits were acknowledged; "
            f"{_known(cutover.lost)} lost, {_known(cutover.duplicated)} duplicated, "
            f"{_known(cutover.client_errors)} client errors."
        )
    if cutover.write_pause_ms is None:
        sentences.append("No clients were measured.")
    return _lead(" ".join(sentences))


def _failover_lead(failover: Failover) -> Markup:
    if failover.seconds is None:
        back = "Writes did not come back while we watched."
    else:
        back = f"Writes were acknowledged again {human_seconds(failover.seconds)} after the kill."
    return _lead(
        f"{back} {_known(failover.client_errors)} client errors, {_known(failover.lost)} "
        f"acknowledged commits lost, {_known(failover.duplicated)} duplicated."
    )


def _tables(details: Sequence[TableVerdict]) -> Markup:
    """Tables that differ first, then the largest; as many as one reads."""
    if not details:
        return Markup("")
    ordered = sorted(details, key=lambda table: (table.same, -table.rows, table.name))
    timed = any(table.seconds is not None for table in details)
    rows = [_table_row(table, timed=timed) for table in ordered[:_MOST_TABLES]]
    heads = ("table", "rows", "same", "differences", *(("seconds",) if timed else ()))
    hidden = ordered[_MOST_TABLES:]
    words = "tables, all the same, stand in report.json"
    if any(not table.same for table in hidden):
        words = "tables, some of them different, stand in report.json"
    return join(
        [_table(heads, rows, numbers=len(heads) - 1, class_="tables"), _more(len(hidden), words)]
    )


def _table_row(table: TableVerdict, *, timed: bool) -> Markup:
    same = tag("span", "✓ same", class_="good") if table.same else tag(
        "span", "✗ differs", class_="bad")  # fmt: skip
    seconds = "" if table.seconds is None else f"{table.seconds:.2f}"
    return tag(
        "tr", tag("th", _breakable(table.name), scope="row"),
        _figure(human_count(table.rows)), _figure(same),
        _figure(human_count(table.differences)), *((_figure(seconds),) if timed else ()),
        class_=None if table.same else "broken",
    )  # fmt: skip


def _breakable(name: str) -> Markup:
    """A name that a narrow page may break after dots and underscores."""
    return Markup(re.sub(r"([._])", r"\1<wbr>", tag("span", name)))


def _ledger_row(row: Ledger) -> Markup:
    broken = bool(row.lost or row.duplicated)
    cells = [row.acknowledged, row.lost, row.duplicated, row.failed, row.unknown]
    return tag(
        "tr", tag("th", row.scope, scope="row"),
        *(_figure("–" if cell is None else human_count(cell)) for cell in cells),
        class_="broken" if broken else None,
    )  # fmt: skip


def _table(
    heads: Sequence[str], rows: Sequence[Markup], *, numbers: int, class_: str | None = None
) -> Markup:
    first = len(heads) - numbers
    head = [
        tag("th", name, scope="col", class_="figure" if index >= first else None)
        for index, name in enumerate(heads)
    ]
    table = tag("table", tag("thead", tag("tr", *head)), tag("tbody", *rows), class_=class_)
    return tag("div", table, class_="scroll", tabindex="0", role="region", aria_label=heads[0])


def _figure(child: Child) -> Markup:
    return tag("td", child, class_="figure")


def _section(title: str, *children: Child) -> Markup:
    return tag("section", tag("h2", title), *children)


def _lead(text: str) -> Markup:
    return tag("p", text, class_="lead")


def _not_run(text: str) -> Markup:
    return tag("p", text, class_="not-run")


def _more(hidden: int, words: str) -> Markup | None:
    return tag("p", f"{human_count(hidden)} more {words}.", class_="lead") if hidden > 0 else None


def _shown(events: Sequence[Event]) -> list[Event]:
    """All events, or the marked ones and as many of the others as one reads."""
    if len(events) <= _MOST_EVENTS:
        return list(events)
    marked = [event for event in events if event.label][:_MOST_EVENTS]
    others = [event for event in events if not event.label][: _MOST_EVENTS - len(marked)]
    return sorted([*marked, *others], key=lambda event: event.at)


def _known(number: int | None) -> str:
    return "an uncounted number of" if number is None else human_count(number)
