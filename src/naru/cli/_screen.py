"""Progress on a terminal: a few living lines at the bottom, finished steps above them."""

from __future__ import annotations

import atexit
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Self

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.segment import Segment
from rich.text import Text

from naru.cli._meter import Meter, Reading, amount, of_total, outlook, pace
from naru.system.units import human_seconds

_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_BLOCKS = "▁▂▃▄▅▆▇█"
_MARKS = {
    "done": ("✓", "green"),
    "failed": ("✗", "bold red"),
    "skipped": ("–", "dim"),
}
_MOST_LINES = 8
_WIDEST = 110
_TREND = 24
_FRAMES = 8
"""Redraws a second: smooth to the eye, and nothing next to the work itself."""


class RichObserver:
    """Draws steps, progress and the workload; use it as a context manager.

    Calls only note what they hear; a thread of its own redraws. What is printed to the same
    console meanwhile appears above. The cursor comes back at the end, on errors, and at exit.
    """

    def __init__(self, console: Console, *, now: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._now = now
        self._lock = threading.RLock()
        self._running: dict[str, float] = {}
        self._meters: dict[str, Meter] = {}
        self._workload: tuple[float, float, int] | None = None
        self._trend: deque[float] = deque(maxlen=_TREND)
        self._live: Live | None = None

    def step(self, title: str, state: str) -> None:
        """A step changed: running ones stay below, ended ones are printed above."""
        with self._lock:
            now = self._now()
            if state == "running":
                self._running[title] = now
                self._open()
                return
            began = self._running.pop(title, None)
            if not self._running:
                self._meters.clear()
            line = self._ended_step(title, state, None if began is None else now - began)
        # Outside the lock: the console has its own, which the drawing thread may hold.
        self._print(line)

    def progress(
        self, what: str, done: int, total: int | None, unit: str, *, detail: str = ""
    ) -> None:
        """Progress: a living line until `done` reaches `total`."""
        with self._lock:
            now = self._now()
            if total is not None and done >= total:
                self._meters.pop(what, None)
                return
            meter = self._meters.setdefault(what, Meter(what, now))
            meter.observe(now, done, total, unit, detail)
            self._open()

    def workload(self, *, tps: float, p95_ms: float, errors: int) -> None:
        """How the clients fare: commits a second, latency, errors so far."""
        with self._lock:
            self._workload = (tps, p95_ms, errors)
            self._trend.append(tps)
            self._open()

    def note(self, text: str) -> None:
        """One line for people, above the living ones."""
        self._print(Text.assemble(("  ! ", "yellow"), text))

    def close(self) -> None:
        """Stop drawing, remove the living lines, give the cursor back."""
        with self._lock:
            live, self._live = self._live, None
        if live is not None:
            atexit.unregister(self.close)
            live.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = self._frame(min(console.width, _WIDEST), console.height)
        for number, line in enumerate(lines):
            if number:
                yield Segment.line()
            yield from line.render(console, end="")

    def _open(self) -> None:
        if self._live is not None:
            return
        self._live = Live(
            self, console=self._console, refresh_per_second=_FRAMES, transient=True,
            redirect_stdout=False, redirect_stderr=False,
        )  # fmt: skip
        atexit.register(self.close)
        self._live.start()

    def _print(self, line: Text) -> None:
        line.truncate(max(20, self._console.width), overflow="ellipsis")
        self._console.print(line, soft_wrap=True)

    def _ended_step(self, title: str, state: str, seconds: float | None) -> Text:
        mark, style = _MARKS.get(state, ("·", ""))
        took = "already done" if state == "skipped" else ""
        if seconds is not None and state != "skipped":
            took = human_seconds(seconds)
        width = min(self._console.width, 78)
        room = max(10, width - 6 - max(12, cell_len(took)))
        tone = style if state != "done" else ""
        return Text.assemble(
            "  ", (mark, style), " ", (_fit(title, room), tone), "  ", (f"{took:>12}", "dim")
        )

    def _frame(self, width: int, height: int) -> list[Text]:
        """What stands at the bottom now; never more lines than fit, never a wider one."""
        with self._lock:
            now = self._now()
            readings = [meter.read(now) for meter in self._meters.values()]
            running = list(self._running.items())
            workload, trend = self._workload, list(self._trend)
        running = running[-3:]
        room = max(1, min(_MOST_LINES, height - len(running) - 4))
        shown = readings if len(readings) <= room else readings[: room - 1]
        tick = _SPINNER[int(now * _FRAMES) % len(_SPINNER)]
        lines = [_running_step(tick, title, now - began) for title, began in running]
        names = _name_width([reading.what for reading in shown], width)
        lines += [_progress_line(reading, names, width) for reading in shown]
        if len(shown) < len(readings):
            lines.append(_the_rest(readings[len(shown) :]))
        if workload is not None:
            lines.append(_workload_line(workload, trend))
        for line in lines:
            line.truncate(max(1, width - 1), overflow="ellipsis")
        return lines


def _running_step(tick: str, title: str, seconds: float) -> Text:
    took = f"  {human_seconds(seconds)}" if seconds >= 1 else ""
    return Text.assemble("  ", (tick, "cyan"), " ", (title, "bold"), (took, "dim"))


def _progress_line(reading: Reading, names: int, width: int) -> Text:
    bar = 20 if width >= 110 else 10
    known = [
        text
        for text in (of_total(reading), outlook(reading), reading.detail if width >= 60 else "")
        if text
    ]
    return Text.assemble(
        "    ", _fit(reading.what, names), "  ", *_bar(reading.share, bar),
        "  ", known[0], ("  " + "  ".join(known[1:]) if known[1:] else "", "dim"),
    )  # fmt: skip


def _bar(share: float | None, width: int) -> list[tuple[str, str]]:
    if share is None:
        return [("─" * width, "dim")]
    full = int(share * width)
    percent = f" {int(share * 100):>3} %"
    return [("━" * full, "cyan"), ("─" * (width - full), "dim"), (percent, "")]


def _the_rest(readings: list[Reading]) -> Text:
    """The lines that do not fit, as one: how many, and their sums by unit."""
    parts = []
    for unit in dict.fromkeys(reading.unit for reading in readings):
        same = [reading for reading in readings if reading.unit == unit]
        text = amount(sum(reading.done for reading in same), unit)
        rates = [reading.rate for reading in same if reading.rate is not None]
        parts.append(f"{text}, {pace(sum(rates), unit)}" if rates else text)
    return Text(f"    and {len(readings)} more: {'; '.join(parts)}", style="dim")


def _workload_line(workload: tuple[float, float, int], trend: list[float]) -> Text:
    tps, p95, errors = workload
    top = 1.2 * max([*trend, 1.0])
    wave = "".join(_BLOCKS[min(7, max(0, int(value / top * 7.99)))] for value in trend)
    return Text.assemble(
        ("  ~ ", "cyan"), "clients  ", (wave, "cyan"),
        f"  {tps:,.0f} commits/s  p95 {p95:,.0f} ms  ",
        (f"{errors:,} errors", "bold red" if errors else "dim"),
    )  # fmt: skip


def _name_width(names: list[str], width: int) -> int:
    longest = max((cell_len(name) for name in names), default=0)
    return min(longest, max(10, width // 3))


def _fit(text: str, width: int) -> str:
    """Exactly `width` columns: Korean letters take two."""
    flat = " ".join(text.split())
    if cell_len(flat) > width:
        flat = set_cell_size(flat, width - 1).rstrip() + "…"
    return set_cell_size(flat, width)
