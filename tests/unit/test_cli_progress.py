"""What long work looks like, with and without a terminal."""

from __future__ import annotations

import io
import threading

import pytest
from rich.cells import cell_len
from rich.console import Console

from naru.cli._lines import LineObserver
from naru.cli._meter import Meter, of_total, outlook
from naru.cli._screen import RichObserver
from naru.cli.progress import observer_for


class Clock:
    """Time that a test moves by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def screen(width: int = 100, height: int = 24) -> tuple[RichObserver, io.StringIO, Clock]:
    stream, clock = io.StringIO(), Clock()
    console = Console(file=stream, force_terminal=True, width=width, height=height)
    return RichObserver(console, now=clock), stream, clock


def lines() -> tuple[LineObserver, io.StringIO, Clock]:
    stream, clock = io.StringIO(), Clock()
    return LineObserver(stream, now=clock), stream, clock


def frame(observer: RichObserver, width: int = 100, height: int = 24) -> list[str]:
    return [line.plain for line in observer._frame(width, height)]


def test_the_rate_is_of_the_last_seconds_and_gives_the_time_left() -> None:
    meter = Meter("t", 0.0)
    for second in range(30):
        meter.observe(float(second), 1000 + second * (10 if second < 15 else 100), 9900, "rows", "")
    reading = meter.read(29.0)
    assert reading.rate == pytest.approx(100, rel=0.2)
    assert reading.left == pytest.approx((9900 - 3900) / 100, rel=0.2)


def test_rows_copied_before_a_resume_do_not_count_as_speed() -> None:
    meter = Meter("t", 0.0)
    meter.observe(0.0, 1_000_000, 2_000_000, "rows", "")
    meter.observe(1.0, 1_000_500, 2_000_000, "rows", "")
    assert meter.read(1.0).rate == pytest.approx(500)


def test_a_thing_that_stands_still_is_seen_to_slow_down() -> None:
    meter = Meter("t", 0.0)
    meter.observe(0.0, 0, None, "bytes", "")
    meter.observe(1.0, 1000, None, "bytes", "")
    assert meter.read(10.0).rate == pytest.approx(100)


def test_progress_reads_as_a_sentence() -> None:
    meter = Meter("t", 0.0)
    meter.observe(0.0, 0, 600_000_000, "bytes", "")
    meter.observe(1.0, 48_000_000, 600_000_000, "bytes", "")
    reading = meter.read(1.0)
    assert of_total(reading) == "48.0 MB of 600 MB"
    assert outlook(reading) == "48.0 MB/s, 12 s left"


def test_an_unknown_total_gives_no_time_left() -> None:
    meter = Meter("t", 0.0)
    meter.observe(0.0, 0, None, "rows", "")
    meter.observe(1.0, 2000, None, "rows", "")
    assert of_total(meter.read(1.0)) == "2,000 rows"
    assert outlook(meter.read(1.0)) == "2.00k rows/s"


def test_lines_tell_each_step_with_its_time() -> None:
    observer, stream, clock = lines()
    observer.step("Copy the tables", "running")
    clock.now += 65
    observer.step("Copy the tables", "done")
    observer.step("Build indexes", "skipped")
    assert stream.getvalue().splitlines() == [
        "00:00  start   Copy the tables",
        "01:05  done    Copy the tables  (1 min 05 s)",
        "01:05  skipped Build indexes",
    ]


def test_lines_of_one_thing_come_at_most_every_two_seconds() -> None:
    observer, stream, clock = lines()
    for second in range(100):
        clock.now += 0.1
        observer.progress("lag", second, None, "bytes", detail="2 s behind")
    assert 3 <= len(stream.getvalue().splitlines()) <= 5
    assert "2 s behind" in stream.getvalue()


def test_lines_name_the_ten_percent_points_and_the_end() -> None:
    observer, stream, clock = lines()
    for part in range(0, 101):
        clock.now += 0.25
        observer.progress("public.users", part, 100, "rows")
    shares = [line[15:20] for line in stream.getvalue().splitlines()]
    assert shares[-1] == "100 %"
    assert " 50 %" in shares
    assert len(shares) <= 12


def test_ten_thousand_small_tables_write_few_lines() -> None:
    observer, stream, clock = lines()
    for number in range(10_000):
        clock.now += 0.001
        observer.progress(f"public.t{number}", 10, 10, "rows")
    observer.step("Copy", "done")
    written = stream.getvalue().splitlines()
    assert len(written) <= 8
    counted = [int(line.split()[-1].replace(",", "")) for line in written if "done quickly" in line]
    assert sum(counted) == 10_000


def test_a_note_stays_one_line() -> None:
    observer, stream, _ = lines()
    observer.note("한강 나루\nsecond")
    assert stream.getvalue() == "00:00  note    한강 나루 second\n"


def test_a_new_client_error_is_told_before_its_time() -> None:
    observer, stream, clock = lines()
    observer.workload(tps=200, p95_ms=8, errors=0)
    clock.now += 3
    observer.workload(tps=200, p95_ms=8, errors=0)
    observer.workload(tps=12, p95_ms=800, errors=4)
    assert [line.rpartition(", ")[2] for line in stream.getvalue().splitlines()] == [
        "0 errors",
        "4 errors",
    ]


def test_a_finished_step_stays_above_with_tick_and_time() -> None:
    observer, stream, clock = screen()
    with observer:
        observer.step("Copy the tables", "running")
        clock.now += 12
        observer.step("Copy the tables", "done")
    assert "✓" in stream.getvalue()
    assert "12 s" in stream.getvalue()


def test_the_cursor_comes_back_even_after_an_error() -> None:
    observer, stream, _ = screen()
    with pytest.raises(RuntimeError):
        with observer:
            observer.step("Copy", "running")
            raise RuntimeError
    assert stream.getvalue().rfind("\x1b[?25h") > stream.getvalue().rfind("\x1b[?25l") >= 0


def test_many_lines_are_bounded_and_the_rest_is_summed() -> None:
    observer, _, clock = screen()
    with observer:
        observer.step("Copy", "running")
        for number in range(30):
            observer.progress(f"public.t{number}", 0, 1000, "rows")
        clock.now += 1
        for number in range(30):
            observer.progress(f"public.t{number}", 100, 1000, "rows")
        tall, low = frame(observer), frame(observer, height=10)
    assert "and 23 more: 2,300 rows, 2.30k rows/s" in tall[-1]
    assert len(tall) == 9
    assert len(low) < 10


def test_no_line_is_wider_than_the_terminal_in_korean_too() -> None:
    observer, _, clock = screen(width=60)
    with observer:
        observer.step("테이블을 새 서비스로 옮기는 중입니다 " * 4, "running")
        observer.progress("public.사용자_프로젝트_기록_보관소", 5, 10, "rows", detail="지연 2 s")
        observer.progress("public.users", 5, 10, "rows")
        observer.workload(tps=212, p95_ms=8, errors=0)
        clock.now += 1
        drawn = frame(observer, width=60)
    assert max(cell_len(line) for line in drawn) < 60
    bars = [cell_len(line[: line.index("━")]) for line in drawn if "━" in line]
    assert len(set(bars)) == 1, "the bars of Korean and English names stand in one column"


def test_finished_progress_leaves_the_screen() -> None:
    observer, _, _ = screen()
    with observer:
        observer.progress("public.users", 5, 10, "rows")
        assert any("public.users" in line for line in frame(observer))
        observer.progress("public.users", 10, 10, "rows")
        assert not any("public.users" in line for line in frame(observer))


def test_names_that_look_like_markup_are_shown_as_they_are() -> None:
    observer, stream, _ = screen()
    with observer:
        observer.step("[red]copy[/red]", "running")
        observer.note("[bold]note[/bold]")
        observer.step("[red]copy[/red]", "done")
    assert "[red]copy[/red]" in stream.getvalue()
    assert "[bold]note[/bold]" in stream.getvalue()


def test_threads_can_all_report_at_once() -> None:
    observer, stream, _ = screen()

    def report(worker: int) -> None:
        for part in range(200):
            observer.progress(f"t{worker}", part, 199, "rows")
            if part % 50 == 0:
                observer.note(f"worker {worker} at {part}")

    with observer:
        observer.step("Copy", "running")
        workers = [threading.Thread(target=report, args=(number,)) for number in range(8)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(timeout=60)
        assert not any(worker.is_alive() for worker in workers)
    assert stream.getvalue().count(" at 150") == 8


def test_a_terminal_gets_living_lines_and_a_file_gets_plain_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    assert isinstance(observer_for(Terminal()), RichObserver)
    assert isinstance(observer_for(io.StringIO()), LineObserver)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(observer_for(Terminal()), LineObserver)


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    with observer_for(stream) as observer:
        observer.step("Copy", "running")
        observer.step("Copy", "failed")
    assert "✗" in stream.getvalue()
    assert "\x1b[1;31m" not in stream.getvalue()
    assert "\x1b[31m" not in stream.getvalue()
