"""The certificate of a comparison: what was compared, how, and what came out, on one page."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import naru
from naru.report._document import iso
from naru.report._frame import frame, grid, listing, section
from naru.report._markup import Child, Markup, tag
from naru.system import write_atomically
from naru.system.units import human_count, human_seconds


@dataclass(frozen=True)
class CertifiedSide:
    """One of the two databases. Positions are those of its WAL, None where it told none."""

    role: str
    address: str
    version: str
    begin: str | None
    end: str | None
    snapshot: str | None


@dataclass(frozen=True)
class CertifiedTable:
    """One table; `findings` name rows that differ, not always all of them.

    `compared_at` is in seconds since the epoch; `earlier` says that it was before this run.
    """

    name: str
    source_rows: int
    target_rows: int
    same: bool
    differences: int
    findings: tuple[str, ...] = ()
    compared_at: float | None = None
    earlier: bool = False


@dataclass(frozen=True)
class Certificate:
    """Everything that the page says. `started` is in seconds since the epoch."""

    same: bool
    sentence: str
    started: float
    seconds: float
    rows: int
    sides: tuple[CertifiedSide, CertifiedSide]
    tables: tuple[CertifiedTable, ...]
    others: tuple[tuple[str, str], ...]
    """What was compared besides rows, and what came out: schema, sequences, large objects."""
    findings: tuple[str, ...]
    method: tuple[str, ...]
    not_compared: tuple[str, ...]


def write_certificate(certificate: Certificate, path: Path) -> None:
    """Write the page, whole or not at all; it stands alone and has no script."""
    write_atomically(path, render_certificate(certificate))


def render_certificate(certificate: Certificate) -> str:
    """The page as HTML."""
    word = "The same" if certificate.same else "Different"
    title = f"{word}: {certificate.sides[0].address}, {certificate.sides[1].address}"
    return frame(title, _body(certificate))


def _body(found: Certificate) -> Iterable[Child]:
    began = (iso(found.started) or "")[:19].replace("T", " ")
    yield tag(
        "header", tag("h1", "Certificate of comparison"),
        tag("p", f"{began} UTC, {human_seconds(found.seconds)}", class_="when"),
    )  # fmt: skip
    word = "✓ The same" if found.same else "✗ Different"
    yield tag(
        "div", tag("p", word, class_="word"), tag("p", found.sentence, class_="sentence"),
        class_=f"verdict {'passed' if found.same else 'failed'}",
    )  # fmt: skip
    yield section("The two databases", _sides(found.sides))
    yield section(f"{human_count(len(found.tables))} tables", _tables(found.tables))
    yield section("Besides rows", listing(f"{what}: {result}" for what, result in found.others))
    if found.findings:
        yield section("Differences besides rows", listing(found.findings))
    yield section("How it was compared", listing(found.method))
    left_out = listing(found.not_compared) if found.not_compared else tag("p", "Nothing.")
    yield section("What was not compared", left_out)
    yield tag("footer", f"Naru {naru.__version__}.")


def _sides(sides: Iterable[CertifiedSide]) -> Markup:
    heads = ("", "database", "PostgreSQL", "WAL at the beginning", "at the end", "snapshot")
    return grid(
        heads,
        [
            tag(
                "tr", tag("th", side.role, scope="row"), tag("td", side.address),
                tag("td", side.version), tag("td", side.begin or "–"), tag("td", side.end or "–"),
                tag("td", side.snapshot or "one for each table"),
            )
            for side in sides
        ],
    )  # fmt: skip


def _tables(tables: Iterable[CertifiedTable]) -> Markup:
    ordered = sorted(tables, key=lambda table: (table.same, table.name))
    heads = ("table", "rows of the source", "rows of the target", "same", "differences", "at (UTC)")
    return grid(heads, [row for table in ordered for row in _table_rows(table)])


def _time(table: CertifiedTable) -> str:
    if table.compared_at is None:
        return "at the snapshot"
    moment = (iso(table.compared_at) or "")[:19].replace("T", " ")
    return f"{moment}, earlier" if table.earlier else moment


def _table_rows(table: CertifiedTable) -> Iterable[Markup]:
    same = tag("span", "✓ same", class_="good") if table.same else tag(
        "span", "✗ differs", class_="bad")  # fmt: skip
    figures = (human_count(table.source_rows), human_count(table.target_rows), same,
               human_count(table.differences))  # fmt: skip
    yield tag(
        "tr", tag("th", table.name, scope="row"),
        *(tag("td", figure, class_="figure") for figure in figures),
        tag("td", _time(table), class_="figure"),
        class_=None if table.same else "broken",
    )  # fmt: skip
    if table.findings:
        words = f"{human_count(len(table.findings))} of them"
        named = tag("details", tag("summary", words), listing(table.findings))
        yield tag("tr", tag("td", named, colspan="6"))
