"""One differing row on the page of differences."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from naru.report._markup import Child, Markup, join, tag
from naru.report._values import ShownPair, pair_cells, visible


@dataclass(frozen=True)
class ShownRow:
    """One row. `kind` is changed, missing or extra; `columns` differ; values may be unknown."""

    kind: str
    key: tuple[tuple[str, str | None], ...]
    columns: tuple[str, ...] = ()
    count: int = 1
    pairs: tuple[ShownPair, ...] = ()
    pending: bool = False


def draw_row(row: ShownRow) -> Markup:
    """A row as one block: its kind, its key, and both values of each column that differs."""
    kind = "pending" if row.pending else row.kind
    words = f"{row.kind}, pending" if row.pending else row.kind
    many = tag("span", f" {row.count:,} times", class_="faint") if row.count > 1 else None
    return tag(
        "article", tag("p", tag("span", words, class_="kind"), _key(row.key), many, class_="key"),
        _columns(row), _pairs(row), class_=f"row {kind}", data_kind=kind,
    )  # fmt: skip


def _columns(row: ShownRow) -> Child:
    """The columns whose values are not shown."""
    known = {pair.column for pair in row.pairs}
    names = [name for name in row.columns if name not in known]
    return tag("p", "in ", visible(", ".join(names)), class_="faint") if names else None


def _pairs(row: ShownRow) -> Child:
    if not row.pairs:
        return None
    pairs = tag("div", *(_pair(row.kind, pair) for pair in row.pairs), class_="pairs")
    if row.kind == "changed":
        return pairs
    return tag("details", tag("summary", f"{len(row.pairs):,} columns"), pairs)


def _key(key: Iterable[tuple[str, str | None]]) -> Markup:
    null = tag("span", "NULL", class_="null")
    return join(
        tag(
            "span", tag("span", visible(name), " ", class_="faint"),
            null if value is None else tag("code", visible(value)), class_="part",
        )
        for name, value in key
    )  # fmt: skip


def _pair(kind: str, pair: ShownPair) -> Markup:
    source, target = pair_cells(pair)
    only = {"missing": [source], "extra": [target]}.get(kind, [source, target])
    name = tag("div", visible(pair.column), class_="column")
    return tag("div", name, *only, class_=f"pair n{len(only)}")
