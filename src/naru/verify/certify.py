"""From a verdict to the certificate that one hands to an auditor."""

from __future__ import annotations

from collections.abc import Iterator

from naru.postgres import Dsn
from naru.report import Certificate, CertifiedSide, CertifiedTable
from naru.system.units import human_seconds
from naru.verify.verdict import RowDifference, TableVerdict, Verdict, moment

_HASHES = {
    "record": "64-bit hashes of all values of a row by the server's own hash functions"
    " (hash_record_extended for those without one), combined so that each counts, summed",
    "text": "64-bit hashtextextended of the row's text, summed",
    "md5": "the first 64 bits of md5 of the row's text, summed",
}


def certify(verdict: Verdict, source: Dsn, target: Dsn) -> Certificate:
    """What the certificate of this comparison says."""
    earlier = {table.table for table in verdict.carried}
    return Certificate(
        same=verdict.same,
        sentence=sentence(verdict),
        started=float(verdict.method["started"]),
        seconds=verdict.seconds,
        rows=verdict.rows,
        sides=(side(verdict, "source", source), side(verdict, "target", target)),
        tables=tuple(_table(table, earlier) for table in verdict.tables),
        others=tuple(others(verdict)),
        findings=tuple(_findings(verdict)),
        method=tuple(method_lines(verdict)),
        not_compared=verdict.not_compared,
    )


def sentence(verdict: Verdict) -> str:
    """The verdict in a sentence."""
    size = f"{verdict.rows:,} rows in {len(verdict.tables):,} tables were compared"
    if verdict.same and verdict.cut_off:
        return f"{size}, and no difference was found; the rest was not compared, as said below."
    if verdict.same:
        ruled = " but what the rules below allow" if verdict.loosened else ""
        return f"{size}, and no difference{ruled} was found."
    pending = f", and {verdict.pending:,} rows did not settle" if verdict.pending else ""
    return f"{size}; {verdict.differences:,} differences were found{pending}."


def side(verdict: Verdict, role: str, dsn: Dsn) -> CertifiedSide:
    """One of the two databases, as it was at the comparison."""
    method = verdict.method
    return CertifiedSide(
        role, str(dsn), str(method[f"{role}_version"]), method.get(f"{role}_begin"),
        method.get(f"{role}_end"), method.get(f"{role}_snapshot"),
    )  # fmt: skip


def _table(table: TableVerdict, earlier: set[str]) -> CertifiedTable:
    findings = [_row(row) for row in table.differences]
    findings += [f"pending: {_row(row)}" for row in table.pending]
    if table.reason:
        findings.append(table.reason)
    return CertifiedTable(
        table.table, table.rows, table.target_rows, table.same, table.found, tuple(findings),
        table.compared_at, table.table in earlier,
    )  # fmt: skip


def _row(row: RowDifference) -> str:
    key = ", ".join(f"{name}={value}" for name, value in row.key.items())
    columns = f" in {', '.join(row.columns)}" if row.columns else ""
    many = f" ({row.count} times)" if row.count > 1 else ""
    return f"{row.kind} {key}{columns}{many}"


def others(verdict: Verdict) -> Iterator[tuple[str, str]]:
    """What was compared besides rows, and what came out."""
    left_out = {text.partition(":")[0] for text in verdict.not_compared}
    if "schema" not in left_out:
        yield "schema", _differences(len(verdict.schema))
    if "values of sequences" not in left_out:
        words = _differences(len(verdict.sequences))
        yield "sequences", f"{verdict.sequences_compared:,} compared, {words}"
    large = verdict.large_objects
    if large.compared:
        size = f"{large.count:,} of {large.bytes:,} bytes compared"
        yield "large objects", f"{size}, {_differences(large.found)}"
    if verdict.notes:
        words = "which count" if verdict.strict else "which are allowed to differ"
        yield "notes", f"{len(verdict.notes):,} deviations {words}"


def _differences(count: int) -> str:
    return f"{count:,} differences" if count else "no difference"


def _findings(verdict: Verdict) -> Iterator[str]:
    for item in verdict.schema + verdict.notes:
        mend = f"; mended by: {item.mend}" if item.mend else ""
        yield f"{item.kind} {item.object}, {item.attribute}: source {item.source or 'none'}," \
              f" target {item.target or 'none'}{mend}"  # fmt: skip
    for one in verdict.sequences:
        yield f"sequence {one.sequence}: source {one.source}, target {one.target}"
    for large in verdict.large_objects.differences:
        yield f"large object {large.oid}: {large.kind} {', '.join(large.what)}".rstrip()


def method_lines(verdict: Verdict) -> Iterator[str]:
    """How it was compared, in sentences."""
    name = str(verdict.method["hash"])
    yield f"hash: {_HASHES[name]}; both servers computed the same over samples of every type"
    yield (
        "every row of every table named here was read on both sides, not before the time that"
        " stands with it; no row was sampled"
    )
    yield (
        "types compared by their binary form: "
        + (", ".join(str(one) for one in verdict.method["binary_types"]) or "none")
        + "; all others by their text under fixed settings"
    )
    if verdict.carried and verdict.still_until is not None:
        oldest = min(table.compared_at or 0.0 for table in verdict.carried)
        yield (
            f"{len(verdict.carried):,} tables marked as earlier were read before this run, wholly"
            f" or in part, the first of them at {moment(oldest)}; in none of them had either server"
            f" counted a change that was committed by {moment(verdict.still_until)}"
        )
    for rule, says in verdict.method.get("equal", {}).items():
        columns = [column for column, name in verdict.loosened if name == rule]
        where = ", ".join(columns) if columns else "no column of its types"
        yield f"not exactly, by the rule {rule} ({says}): {where}"
    for name, held in verdict.method.get("held", {}).items():
        if held["seconds"] >= 1:
            yield (
                f"the oldest snapshot on the {name} was held for {human_seconds(held['seconds'])};"
                f" {held['dead_row_versions']:,} row versions died meanwhile that vacuum had to"
                f" leave, and {held['transactions']:,} transactions began"
            )
    if verdict.live:
        yield (
            "while replication ran: a row that differed was looked at again, and differs only if it"
            " did not change meanwhile and the target had replayed past the position at which the"
            f" source was read; {verdict.looked_again:,} rows were looked at again"
        )
