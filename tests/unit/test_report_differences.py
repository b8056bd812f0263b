"""The page of differences: both values, what differs marked, whatever the values hold."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from naru.postgres import Dsn
from naru.report import ShownPair, ShownValue, render_differences, write_differences
from naru.report._values import pair_cells
from naru.verify import (
    LargeObjectVerdict,
    RowDifference,
    SchemaDifference,
    SequenceDifference,
    SequenceState,
    TableVerdict,
    Verdict,
    depict,
)
from naru.verify.verdict import Excerpt, ValuePair
from tests.unit.test_report_certificate import METHOD, SOURCE, TARGET, text
from tests.unit.test_report_in_chromium import CHROMIUM, browse, shoot

HOSTILE = (
    "</code></main><script>document.title='owned'</script><img src=x onerror=alert(1)>\u202e\x00"
)


def excerpt(value: str) -> Excerpt:
    size = len(value.encode())
    return Excerpt(0, size, size, value)


def changed(number: int, ours: str | None, theirs: str | None) -> RowDifference:
    source, target = (None if v is None else excerpt(v) for v in (ours, theirs))
    pair = ValuePair("note", source, target)
    return RowDifference("changed", {"id": number}, ("note",), values=(pair,))


def verdict(*rows: RowDifference, found: int = 500_000) -> Verdict:
    wrong = TableVerdict(
        "shop.orders", 5_000_000, 4_999_999, found, rows, {"changed": found - 1, "missing": 1}
    )
    same = TableVerdict("shop.users", 10, 10)
    mend = "CREATE INDEX orders_open ON shop.orders USING btree (state);"
    index = SchemaDifference("shop.orders_open", "index", "object", "CREATE …", None, mend)
    ticket = SequenceDifference("shop.ticket", SequenceState(5, True), SequenceState(1, False))
    return Verdict(
        5_000_010, 2.5, (wrong, same), (index,), (ticket,), LargeObjectVerdict(), method=METHOD
    )


def page(*rows: RowDifference) -> str:
    return render_differences(depict(verdict(*rows), SOURCE, TARGET))


def cells(ours: str | None, theirs: str | None) -> tuple[str, str]:
    one, other = (
        None if v is None else ShownValue(v, 0, len(v.encode()), len(v.encode()))
        for v in (ours, theirs)
    )
    return pair_cells(ShownPair("note", one, other))


def marked(cell: str) -> list[str]:
    return [re.sub("<[^>]+>", "", one) for one in re.findall(r"<mark>(.*?)</mark>", cell, re.S)]


@pytest.mark.parametrize(
    ("ours", "theirs", "marks"),
    [
        ("42.0", "42.00", ([], ["0"])),
        ("one two three", "one 2 three", (["two"], ["2"])),
        ("a", "a ", ([], [" "])),
        ("same", "other", (["same"], ["other"])),
        ("", "x", ([], ["x"])),
    ],
)
def test_what_differs_is_marked(ours: str, theirs: str, marks: tuple[list[str], ...]) -> None:
    assert tuple(map(marked, cells(ours, theirs))) == marks


def test_null_an_empty_text_and_the_word_null_are_told_apart() -> None:
    shown = {cells(value, "x")[0] for value in (None, "", "NULL")}
    assert len(shown) == 3


def test_letters_that_look_alike_are_spelt_out() -> None:
    ours, theirs = cells("e\u0301", "\u00e9")
    assert "U+0065 U+0301" in ours
    assert "U+00E9" in theirs
    assert "U+00A0" in cells("a\u00a0b", "a b")[0]


def test_a_long_value_is_shown_where_it_differs_and_says_so() -> None:
    window = ShownValue("00ff", 314_572_700, 314_572_702, 2, binary=True)
    other = ShownValue("00fe", 314_572_700, 314_572_702, 2, binary=True)
    source, _ = pair_cells(ShownPair("body", window, other))
    assert marked(source) == ["ff"]
    assert "2 of 314,572,702 bytes, from byte 314,572,700 on" in source


def test_the_page_says_how_many_are_named_of_how_many() -> None:
    said = text(page(changed(1, "a", "b"), changed(2, None, "")))
    for words in (
        "✗ Different", "2 named of 500,000 counted", "499,999 changed, 1 missing",
        "5,000,000 rows in the source, 4,999,999 in the target", "CREATE INDEX orders_open",
        "5, used", "1, not used", "shop.users", "no row was sampled",
    ):  # fmt: skip
        assert words in said, words


def test_hostile_values_stay_text() -> None:
    spoilt = RowDifference("missing", {HOSTILE: HOSTILE}, (HOSTILE,))
    html = page(changed(1, HOSTILE, "x"), spoilt)
    assert html.count("<script>") == 1
    assert "<img" not in html
    assert "\u202e" not in html
    assert "\x00" not in html
    assert not re.search(r"src=|@import|url\(|<link", html.replace("&lt;img src=", ""))


def test_the_page_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "differences.html"
    write_differences(depict(verdict(changed(1, "a", "b")), SOURCE, TARGET), path)
    assert path.stat().st_mode & 0o777 == 0o600
    secret = Dsn.parse("postgresql://ann:a-secret@10.1.3.31/db")
    assert "a-secret" not in render_differences(depict(verdict(), secret, secret))


needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium to draw the page")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    rows = [changed(n, f"value {n}", f"value {n + 1}") for n in range(30)]
    rows += [changed(99, HOSTILE, "x"), RowDifference("missing", {"id": 100})]
    path = tmp_path / "differences.html"
    write_differences(depict(verdict(*rows), SOURCE, TARGET), path)
    return path


@needs_chromium
@pytest.mark.parametrize(("scheme", "ground"), [("light", "#ffffff"), ("dark", "#14171b")])
def test_the_differences_are_drawn_in_light_and_dark(
    scheme: str, ground: str, file: Path, tmp_path: Path
) -> None:
    picture = shoot(file, tmp_path, scheme, 1200, 1400)
    colours = picture.colours()
    assert colours.most_common(1)[0][0] == tuple(bytes.fromhex(ground[1:]))
    red, green, blue = bytes.fromhex("ffdf8a" if scheme == "light" else "6b5210")
    assert colours[(red, green, blue)] > 50, "what differs is marked"


@needs_chromium
def test_the_differences_filter_and_nothing_hostile_runs(file: Path, tmp_path: Path) -> None:
    frame = tmp_path / "frame.html"
    frame.write_text(
        f"<iframe src='{file.name}' style='width:390px;height:3000px'></iframe><script>"
        "onload = () => { const page = document.querySelector('iframe').contentDocument;"
        "const form = page.querySelector('.filters'), view = page.defaultView;"
        "form.querySelector('[value=changed]').checked = false;"
        "form.dispatchEvent(new view.Event('input'));"
        "const shown = [...page.querySelectorAll('.differing .row')].filter((row) => !row.hidden);"
        "document.title = [page.title.slice(0, 9), shown.length, form.hidden,"
        " page.documentElement.scrollWidth <= page.documentElement.clientWidth].join(' ') }"
        "</script>"
    )
    seen = browse(frame, tmp_path, "--allow-file-access-from-files", "--dump-dom")
    assert "<title>Different 1 false true</title>" in seen


@needs_chromium
def test_the_differences_can_be_read_without_a_script(file: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain.html"
    plain.write_text(re.sub(r"<script>.*</script>", "", file.read_text(), flags=re.S))
    seen = browse(plain, tmp_path, "--dump-dom")
    assert "value <mark>29</mark>" in seen
    assert 'class="filters" hidden' in seen
