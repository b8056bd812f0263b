"""From a verdict to the page that shows every difference that was named."""

from __future__ import annotations

from collections.abc import Iterator

from naru.postgres import Dsn
from naru.report import Differences, ShownFinding, ShownPair, ShownRow, ShownTable, ShownValue
from naru.verify.certify import method_lines, others, sentence, side
from naru.verify.verdict import Excerpt, RowDifference, TableVerdict, Verdict


def depict(verdict: Verdict, source: Dsn, target: Dsn) -> Differences:
    """What the page of this comparison shows; values are there if they were asked for."""
    return Differences(
        same=verdict.same,
        sentence=sentence(verdict),
        started=float(verdict.method["started"]),
        seconds=verdict.seconds,
        rows=verdict.rows,
        sides=(side(verdict, "source", source), side(verdict, "target", target)),
        tables=tuple(_table(table) for table in verdict.tables),
        findings=tuple(_findings(verdict)),
        others=tuple(others(verdict)),
        method=tuple(method_lines(verdict)),
        not_compared=verdict.not_compared,
    )


def _table(table: TableVerdict) -> ShownTable:
    rows = [_row(row) for row in table.differences]
    rows += [_row(row, pending=True) for row in table.pending]
    return ShownTable(
        table.table, table.rows, table.target_rows, table.same, table.found,
        tuple(sorted(table.kinds.items())), tuple(rows), table.pending_found, table.reason,
    )  # fmt: skip


def _row(row: RowDifference, *, pending: bool = False) -> ShownRow:
    key = tuple((name, None if value is None else str(value)) for name, value in row.key.items())
    pairs = tuple(
        ShownPair(pair.column, _excerpt(pair.source), _excerpt(pair.target), pair.searched)
        for pair in row.values
    )
    return ShownRow(row.kind, key, row.columns, row.count, pairs, pending)


def _excerpt(found: Excerpt | None) -> ShownValue | None:
    if found is None:
        return None
    return ShownValue(found.text, found.start, found.size, found.length, found.binary)


def _findings(verdict: Verdict) -> Iterator[ShownFinding]:
    for item in verdict.schema + (verdict.notes if verdict.strict else ()):
        pair = ShownPair(item.attribute, _text(item.source), _text(item.target))
        yield ShownFinding(item.kind, item.object, item.attribute, pair, item.mend)
    for one in verdict.sequences:
        states = (
            None if state is None else f"{state.last_value}, {_used(state.is_called)}"
            for state in (one.source, one.target)
        )
        source, target = map(_text, states)
        yield ShownFinding("sequence", one.sequence, "value", ShownPair("value", source, target))
    for large in verdict.large_objects.differences:
        words = f"{large.kind}: {', '.join(large.what)}" if large.what else large.kind
        ours, theirs = (None if large.kind == absent else words for absent in ("extra", "missing"))
        pair = ShownPair("content", _text(ours), _text(theirs))
        yield ShownFinding("large object", str(large.oid), "content", pair)


def _used(is_called: bool) -> str:
    return "used" if is_called else "not used"


def _text(value: str | None) -> ShownValue | None:
    if value is None:
        return None
    size = len(value.encode())
    return ShownValue(value, 0, size, size)
