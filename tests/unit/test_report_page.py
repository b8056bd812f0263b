"""The page: it stands alone, escapes what it shows, and leaves out what was not run."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import pytest

from naru.report import Event, Story, TableVerdict, WorkloadPoint, render, write
from tests import stories


class Outline(HTMLParser):
    """Collects what a test asks about, and that every element is closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text: list[str] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in {"meta", "br", "wbr"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self.open):
            self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


ALL = [stories.whole(), stories.broken(), stories.partial(), Story("nothing", 0.0)]


@pytest.mark.parametrize("story", ALL, ids=["whole", "broken", "partial", "nothing"])
def test_the_page_is_well_formed_and_needs_nothing_from_outside(story: Story) -> None:
    page = render(story)
    outline = Outline(page)
    assert not re.search(r"https?:|//[a-z]|@import|url\(", page)
    names = {name for name, _ in outline.attributes}
    assert not names & {"src", "href", "srcset", "poster", "onload", "onclick"}
    assert not {"link", "iframe", "img", "object", "embed"} & set(outline.tags)
    assert ("lang", "en") in outline.attributes


@pytest.mark.parametrize("story", ALL, ids=["whole", "broken", "partial", "nothing"])
def test_every_drawing_has_a_title_and_a_description(story: Story) -> None:
    drawings = re.findall(r"<svg.*?</svg>", render(story), flags=re.S)
    for drawing in drawings:
        assert re.match(r"<svg[^>]*><title>[^<]+</title><desc>[^<]+</desc>", drawing)
        assert "NaN" not in drawing and "inf" not in drawing


def test_every_table_column_has_a_heading() -> None:
    for table in re.findall(r"<table.*?</table>", render(stories.whole()), flags=re.S):
        heads = table.count('scope="col"')
        for row in re.findall(r"<tr.*?</tr>", table.partition("<tbody>")[2], flags=re.S):
            assert len(re.findall(r"<t[dh]\b", row)) == heads


def test_names_cannot_become_markup() -> None:
    evil = "<b>&\"'</script><script>alert(1)</script>"
    story = stories.whole()
    assert story.verification is not None
    details = (TableVerdict(evil, 1, False, 1), *story.verification.details)
    page = render(replace(
        story, title=evil, environment=((evil, evil),),
        verification=replace(story.verification, details=details),
        events=(*story.events, Event(stories.BEGAN + 5, evil, evil, evil)),
    ))  # fmt: skip
    assert "<b>" not in page
    assert page.count("<script") == 2
    assert Outline(page).words.count("alert(1)") >= 4


def test_korean_and_english_stand_on_the_page() -> None:
    words = Outline(render(stories.whole())).words
    assert "사용자 _ 메모" in words or "사용자_ 메모" in words
    assert "리눅스 Debian 12" in words


def test_a_failed_verdict_looks_failed() -> None:
    page = render(stories.broken())
    assert 'class="verdict failed"' in page
    assert "✗ Failed" in page
    assert page.index("A promise broke") < page.index("Copied")
    assert "✗ differs" in page


def test_what_was_not_run_is_said_and_never_drawn_as_zero() -> None:
    words = Outline(render(stories.partial())).words
    assert words.count("not run") >= 6
    assert "The cutover was not run." in words
    assert "No failover was run." in words
    assert "0 lost" not in words


def test_tables_that_differ_come_first_and_long_lists_are_bounded() -> None:
    story = stories.whole()
    assert story.verification is not None
    many = tuple(TableVerdict(f"s.t{n}", n, n != 3, int(n == 3)) for n in range(10_000))
    page = render(replace(story, verification=replace(story.verification, details=many)))
    assert page.index("✗ differs") < page.index("✓ same")
    assert "9,940 more tables, all the same, stand in report.json." in page
    assert len(page) < 400_000


def test_an_hour_of_samples_stays_a_small_page() -> None:
    points = tuple(
        WorkloadPoint(stories.BEGAN + n / 10, 0.1, 20, 0, 6.1, 12.2, 31.4) for n in range(36_000)
    )
    story = replace(stories.whole(), workload=points, ended=stories.BEGAN + 3600)
    assert len(render(story).encode()) < 400_000


def test_a_line_does_not_cross_a_time_without_samples() -> None:
    one = [WorkloadPoint(stories.BEGAN + n, 1.0, 20) for n in range(10)]
    other = [WorkloadPoint(stories.BEGAN + 60 + n, 1.0, 20) for n in range(10)]
    page = render(Story("t", stories.BEGAN, workload=tuple(one + other)))
    assert page.count('class="line blue"') == 2 * 2


def test_both_files_are_written_whole(tmp_path: Path) -> None:
    page = write(stories.whole(), tmp_path / "deep" / "out")
    assert page.name == "report.html"
    assert sorted(file.name for file in page.parent.iterdir()) == ["report.html", "report.json"]
    assert json.loads((page.parent / "report.json").read_text())["verdict"] == "passed"
    assert page.read_text().startswith("<!doctype html>")


def palettes() -> list[dict[str, str]]:
    """The colours of the style sheet: light, dark, printed."""
    sheet = (files("naru.report") / "page.css").read_text()
    blocks = re.findall(r":root \{(.*?)\}", sheet, flags=re.S)
    return [dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", block)) for block in blocks]


def luminance(colour: str) -> float:
    shares = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """The contrast ratio of WCAG 2.1, from 1 to 21."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("palette", palettes(), ids=["light", "dark", "printed"])
def test_every_text_has_the_contrast_that_reading_needs(palette: dict[str, str]) -> None:
    pairs = [("ink", "bg"), ("muted", "bg"), ("muted", "soft"), ("good", "bg"), ("bad", "bg"),
             ("good", "good-bg"), ("bad", "bad-bg"), ("warn", "warn-bg"), ("ink", "bad-bg"),
             ("ink", "line"), ("muted", "bad-bg"), ("muted", "warn-bg")]  # fmt: skip
    low = [pair for pair in pairs if contrast(palette[pair[0]], palette[pair[1]]) < 4.5]
    assert low == []
    assert all(contrast(palette[line], palette["bg"]) >= 3 for line in ("blue", "amber", "violet"))
