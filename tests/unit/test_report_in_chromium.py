"""The page in a real browser: it is drawn, in light and dark, at a desk and on a phone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from naru.report import write
from naru.system import run
from tests import png, stories

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium to draw the page")
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--hide-scrollbars",
)  # fmt: skip
_SCHEMES = {"dark": 0, "light": 1}


def browse(page: Path, folder: Path, *flags: str) -> str:
    """Open `page` in a browser of its own and give what it says on stdout."""
    profile = folder / "profile"
    argv = [str(CHROMIUM), *_FLAGS, f"--user-data-dir={profile}", *flags, page.as_uri()]
    return run(argv, seconds=90).stdout


def shoot(page: Path, folder: Path, scheme: str, width: int, height: int) -> png.Picture:
    picture = folder / "picture.png"
    browse(
        page, folder, f"--window-size={width},{height}", f"--screenshot={picture}",
        f"--blink-settings=preferredColorScheme={_SCHEMES[scheme]}",
    )  # fmt: skip
    return png.read(picture)


@pytest.mark.parametrize(("scheme", "ground"), [("light", "#ffffff"), ("dark", "#14171b")])
def test_the_page_is_drawn_in_light_and_dark(scheme: str, ground: str, tmp_path: Path) -> None:
    page = write(stories.whole(), tmp_path)
    picture = shoot(page, tmp_path, scheme, 1200, 1000)
    assert (picture.width, picture.height) == (1200, 1000)
    colours = picture.colours()
    background = bytes.fromhex(ground[1:])
    assert colours.most_common(1)[0][0] == tuple(background)
    assert len(colours) > 40, "text and lines have many shades"
    blue = bytes.fromhex("1d5fa9" if scheme == "light" else "74ade8")
    assert colours[(blue[0], blue[1], blue[2])] > 20, "the throughput line is there"


def test_a_failed_run_is_red_where_one_looks_first(tmp_path: Path) -> None:
    picture = shoot(write(stories.broken(), tmp_path), tmp_path, "light", 1200, 700)
    assert picture.pixel(60, 250)[0] > picture.pixel(60, 250)[1] + 10


def test_nothing_sticks_out_sideways_on_a_phone(tmp_path: Path) -> None:
    write(stories.whole(), tmp_path)
    phone = tmp_path / "phone.html"
    phone.write_text(
        "<iframe src='report.html' style='width:390px;height:3000px;border:0'></iframe>"
        "<script>onload = () => { const page = document.querySelector('iframe').contentDocument;"
        " document.title = page.documentElement.scrollWidth + ' of 390, ' +"
        " getComputedStyle(page.querySelector('.narrow')).display; }</script>"
    )
    seen = browse(phone, tmp_path, "--allow-file-access-from-files", "--dump-dom")
    assert "<title>390 of 390, block</title>" in seen


def test_the_pointer_shows_values(tmp_path: Path) -> None:
    page = write(stories.whole(), tmp_path)
    probe = tmp_path / "probe.html"
    script = (
        "<script>const chart = document.querySelector('.wide svg.timeline');"
        "const box = chart.getBoundingClientRect();"
        "chart.dispatchEvent(new PointerEvent('pointermove',"
        "{clientX: box.left + box.width * 0.75, clientY: box.top + 50}));</script></body>"
    )
    probe.write_text(page.read_text().replace("</body>", script))
    seen = browse(probe, tmp_path, "--window-size=1200,900", "--dump-dom")
    readout = seen.partition('class="readout"')[2].partition("</p>")[0]
    assert "commits/s" in readout and "p95" in readout
