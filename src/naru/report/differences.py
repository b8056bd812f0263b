"""The page of a comparison's differences: every one that was named, both values side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import naru
from naru.report._difference_rows import ShownRow, draw_row
from naru.report._document import iso
from naru.report._frame import asset, frame, grid, listing, section
from naru.report._markup import Child, Markup, tag
from naru.report._values import ShownPair, pair_cells, visible
from naru.report.certificate import CertifiedSide
from naru.system import write_atomically
from naru.system.units import human_count, human_seconds

MOST_ROWS = 10_000
"""How many rows one page shows, of all tables."""


@dataclass(frozen=True)
class ShownTable:
    """One table; `found` counts all its differences, `kinds` by kind, named or not."""

    name: str
    source_rows: int
    target_rows: int
    same: bool
    found: int
    kinds: tuple[tuple[str, int], ...] = ()
    rows: tuple[ShownRow, ...] = ()
    pending: int = 0
    reason: str | None = None


@dataclass(frozen=True)
class ShownFinding:
    """A difference besides rows. `mend` is the statement for the target, where there is one."""

    kind: str
    object: str
    attribute: str
    pair: ShownPair
    mend: str | None = None


@dataclass(frozen=True)
class Differences:
    """Everything that the page says. `started` is in seconds since the epoch."""

    same: bool
    sentence: str
    started: float
    seconds: float
    rows: int
    sides: tuple[CertifiedSide, CertifiedSide]
    tables: tuple[ShownTable, ...]
    findings: tuple[ShownFinding, ...]
    others: tuple[tuple[str, str], ...]
    """What was compared besides rows, and what came out."""
    method: tuple[str, ...]
    not_compared: tuple[str, ...]


def write_differences(found: Differences, path: Path) -> None:
    """Write the page (mode 0600: it holds data of both sides), whole or not at all."""
    write_atomically(path, render_differences(found), mode=0o600)


def render_differences(found: Differences) -> str:
    """The page as HTML: complete without its script, which only filters."""
    word = "The same" if found.same else "Different"
    title = f"{word}: {found.sides[0].address}, {found.sides[1].address}"
    return frame(
        title, _body(found), style=asset("differences.css"), script=asset("differences.js")
    )


def _body(found: Differences) -> Iterable[Child]:
    began = (iso(found.started) or "")[:19].replace("T", " ")
    yield tag(
        "header", tag("h1", f"{found.sides[0].address} and {found.sides[1].address}"),
        tag("p", f"compared at {began} UTC in {human_seconds(found.seconds)}", class_="when"),
    )  # fmt: skip
    word = "✓ The same" if found.same else "✗ Different"
    yield tag(
        "div", tag("p", word, class_="word"), tag("p", found.sentence, class_="sentence"),
        class_=f"verdict {'passed' if found.same else 'failed'}",
    )  # fmt: skip
    yield tag("dl", *_tiles(found), class_="tiles")
    wrong = [table for table in found.tables if not table.same]
    shown = _within(wrong, MOST_ROWS)
    if wrong or found.findings:
        yield _filters(wrong, found.findings)
    for table in shown:
        yield _table(table)
    if found.findings:
        yield section("Besides rows", *map(_finding, found.findings), id_="findings")
    yield section("All tables", _tables(found.tables))
    yield section("How it was compared", _others(found), listing(found.method))
    left_out = listing(found.not_compared) if found.not_compared else tag("p", "Nothing.")
    yield section("What was not compared", left_out)
    yield tag("footer", f"Naru {naru.__version__}. This page holds data of both databases.")


def _tiles(found: Differences) -> Iterable[Markup]:
    wrong = [table for table in found.tables if not table.same]
    rows = sum(table.found for table in found.tables)
    pending = sum(table.pending for table in found.tables)
    named = min(MOST_ROWS, sum(len(table.rows) for table in found.tables))
    besides = len(found.findings)
    yield _tile("Rows compared", found.rows, f"in {len(found.tables):,} tables")
    yield _tile("Rows that differ", rows, _kinds(wrong) or "none", bad=rows > 0)
    yield _tile("Tables that differ", len(wrong), f"of {len(found.tables):,}", bad=bool(wrong))
    yield _tile("Named here", named, f"of {rows + pending:,} counted")
    yield _tile("Besides rows", besides, "schema, sequences, large objects", bad=besides > 0)
    yield _tile("Pending", pending, "changing whenever looked at", bad=pending > 0)


def _tile(label: str, value: int, note: str, *, bad: bool = False) -> Markup:
    return tag(
        "div", tag("dt", label), tag("dd", human_count(value), class_="value"),
        tag("dd", note, class_="note"), class_=f"tile {'bad' if bad else 'plain'}",
    )  # fmt: skip


def _kinds(tables: Iterable[ShownTable]) -> str:
    counts: dict[str, int] = {}
    for table in tables:
        for kind, count in table.kinds:
            counts[kind] = counts.get(kind, 0) + count
    return ", ".join(f"{human_count(count)} {kind}" for kind, count in counts.items() if count)


def _within(tables: Sequence[ShownTable], most: int) -> Iterable[ShownTable]:
    """The tables with so many rows in all that a browser can hold them."""
    for table in tables:
        rows, most = table.rows[:most], max(0, most - len(table.rows))
        yield ShownTable(**{**vars(table), "rows": rows})


def _filters(tables: Sequence[ShownTable], findings: Sequence[ShownFinding]) -> Markup:
    """Shown by the script only: without it the whole page is there to be read."""
    names = [table.name for table in tables] + (["Besides rows"] if findings else [])
    options = [tag("option", "all tables", value="")]
    options += [tag("option", name, value=name) for name in names]
    boxes = [
        tag("label", tag("input", type="checkbox", value=kind, checked=""), f" {kind}", class_=kind)
        for kind in ("changed", "missing", "extra", "pending")
    ]
    return tag(
        "form", tag("select", *options, aria_label="table"), *boxes,
        tag("input", type="search", placeholder="key or value", aria_label="key or value"),
        tag("output", ""), class_="filters", hidden="",
    )  # fmt: skip


def _table(table: ShownTable) -> Markup:
    counts = f"{human_count(table.source_rows)} rows in the source, " \
             f"{human_count(table.target_rows)} in the target"  # fmt: skip
    if table.reason:
        lead = f"{table.reason}."
    else:
        named = len(table.rows)
        lead = f"{_kinds([table]) or human_count(table.found) + ' differ'}; {counts}."
        if table.pending:
            lead += f" {human_count(table.pending)} pending."
        if named < table.found + table.pending:
            lead += f" {human_count(named)} named of {human_count(table.found + table.pending)}" \
                    " counted."  # fmt: skip
    return tag(
        "section", tag("h2", visible(table.name)), tag("p", lead, class_="lead"),
        *map(draw_row, table.rows),
        class_="differing", data_name=table.name,
    )  # fmt: skip


def _finding(finding: ShownFinding) -> Markup:
    mend = None
    if finding.mend:
        mend = tag(
            "div", tag("p", "On the target:", class_="faint"), tag("pre", visible(finding.mend))
        )
    source, target = pair_cells(finding.pair)
    return tag(
        "article",
        tag("p", tag("span", finding.kind, class_="kind"), tag("code", visible(finding.object)),
            class_="key"),
        tag("div", tag("div", finding.attribute, class_="column"), source, target,
            class_="pair n2"),
        mend, class_="row finding",
    )  # fmt: skip


def _tables(tables: Iterable[ShownTable]) -> Markup:
    ordered = sorted(tables, key=lambda table: (table.same, table.name))
    heads = ("table", "rows of the source", "rows of the target", "same", "differences")
    return grid(heads, [_line(table) for table in ordered], class_="tables")


def _line(table: ShownTable) -> Markup:
    word = tag("span", "✓ same", class_="good") if table.same else tag(
        "span", "✗ differs", class_="bad")  # fmt: skip
    figures = (human_count(table.source_rows), human_count(table.target_rows), word,
               human_count(table.found))  # fmt: skip
    return tag(
        "tr", tag("th", table.name, scope="row"),
        *(tag("td", figure, class_="figure") for figure in figures),
        class_=None if table.same else "broken",
    )  # fmt: skip


def _others(found: Differences) -> Markup:
    return listing(f"{what}: {result}" for what, result in found.others)
