"""The certificate says what was compared, how, and what came out; it stands alone."""

from __future__ import annotations

import re

from naru.postgres import Dsn
from naru.report import render_certificate
from naru.verify import (
    LargeObjectVerdict,
    RowDifference,
    SchemaDifference,
    TableVerdict,
    Verdict,
    certify,
)

SOURCE = Dsn.parse("postgresql://ann:a-secret@10.1.3.31:2866/creativity")
TARGET = Dsn.parse("postgresql://ann:a-secret@10.1.3.32:2866/creativity")
METHOD = {
    "hash": "record", "binary_types": ["int4", "uuid"], "started": 1_709_208_000.0,
    "source_version": "15.18", "target_version": "17.10", "source_begin": "0/16B3740",
    "target_begin": "0/2000", "source_end": "0/16B3750", "target_end": "0/2000",
    "source_snapshot": "00000003-1", "target_snapshot": None,
}  # fmt: skip
USERS = TableVerdict("public.users", 1234, 1234)


def page(*tables: TableVerdict, schema: tuple[SchemaDifference, ...] = ()) -> str:
    verdict = Verdict(
        sum(table.rows for table in tables), 2.5, tables, schema, (), LargeObjectVerdict(),
        not_compared=("rows of materialized views: not asked for",), method=METHOD,
    )  # fmt: skip
    return render_certificate(certify(verdict, SOURCE, TARGET))


def text(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html.partition("</style>")[2]))


def test_a_certificate_names_databases_positions_method_and_verdict() -> None:
    said = text(page(USERS))
    for words in (
        "✓ The same", "1,234 rows in 1 tables were compared, and no difference was found",
        "2024-02-29 12:00:00 UTC", "ann@10.1.3.31:2866/creativity", "15.18", "17.10",
        "0/16B3740", "00000003-1", "hash_record_extended", "int4, uuid",
        "rows of materialized views: not asked for",
    ):  # fmt: skip
        assert words in said, words


def test_a_certificate_holds_no_secret_and_loads_nothing() -> None:
    html = page(USERS)
    assert "a-secret" not in html
    assert not re.search(r"<(script|link|img)|src=|@import|url\(", html)


def test_differences_stand_in_a_certificate_by_key_and_column_and_escaped() -> None:
    difference = RowDifference("changed", {"id": "<b>7"}, ("name",))
    spoilt = TableVerdict("public.users", 9, 9, found=3, differences=(difference,))
    owner = SchemaDifference("public.users", "table", "owner", "a", "b", "ALTER TABLE …;")
    html = page(spoilt, schema=(owner,))
    assert "changed id=&lt;b&gt;7 in name" in html
    said = text(html)
    assert "✗ Different" in said
    assert "4 differences were found" in said
    assert "mended by: ALTER TABLE …;" in said
