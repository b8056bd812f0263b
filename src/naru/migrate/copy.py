"""The copy: parts of tables in one queue, worked off by a few threads, indexes in between."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, field

from naru.errors import StoppedError
from naru.migrate.names import Relation
from naru.migrate.parts import Part, bundles, cut, may_stay_whole, read_tables
from naru.migrate.sides import Side
from naru.migrate.transfer import Reader, Worker
from naru.postgres import Connection
from naru.system import SILENT, Observer


@dataclass(frozen=True)
class Plan:
    """What is left to copy: parts by size, and how large everything is."""

    parts: list[Part]
    total_bytes: int
    done_bytes: int


def plan(source: Connection, complete: Container[Relation], jobs: int = 1) -> Plan:
    """Cut the source's tables into parts, and leave out tables that are complete.

    `source` must see the copy's snapshot, so that no page is missed.
    """
    can_split = source.info.server_version >= 140000  # older servers scan all for a ctid range
    tables = list(read_tables(source))
    total = sum(table.bytes for table in tables)
    whole = may_stay_whole(total, jobs)
    left: list[Part] = []
    done = 0
    for table in tables:
        if table.relation in complete:
            done += table.bytes
        else:
            left.extend(cut(table, can_split=can_split and table.bytes > whole))
    return Plan(left, total, done)


@dataclass
class _Progress:
    """Shared between workers: what has been moved, and which tables still miss parts."""

    observer: Observer
    total: int
    moved: int
    rows: int = 0
    missing: dict[Relation, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, size: int) -> None:
        with self.lock:
            self.moved += size
            moved = min(self.moved, self.total - 1) if self.total else self.moved
        self.observer.progress("copy", moved, self.total, "bytes", detail=f"{self.rows:,} rows")

    def part_done(self, part: Part, rows: int) -> bool:
        """Count a part; true if it was its table's last."""
        with self.lock:
            self.rows += rows
            self.missing[part.table.relation] -= 1
            return self.missing[part.table.relation] == 0


Task = Callable[[Worker], "Iterable[Task]"]
"""Something for a worker to do; it gives what its end makes possible."""


class _Queue:
    """What is left to do. What a task's end makes possible comes before all else."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._todo = deque(tasks)
        self._running = 0
        self._stopped = False
        self._change = threading.Condition()

    def take(self) -> Task | None:
        """The next task, waited for while others may still bring some; None at the end."""
        with self._change:
            while not self._todo and self._running and not self._stopped:
                self._change.wait(1)
            if self._stopped or not self._todo:
                return None
            self._running += 1
            return self._todo.popleft()

    def done(self, more: Iterable[Task]) -> None:
        with self._change:
            self._running -= 1
            self._todo.extendleft(reversed(list(more)))
            self._change.notify_all()

    def stop(self) -> None:
        with self._change:
            self._stopped = True
            self._change.notify_all()


def copy_tables(
    reader: Reader,
    target: Side,
    work: Plan,
    *,
    batch: int,
    jobs: int,
    table_done: Callable[[Relation], Iterable[Task]],
    observer: Observer = SILENT,
) -> int:
    """Copy the planned parts with `jobs` workers; give the number of rows.

    `table_done` is asked right after a table's last part for more to do with it (its
    indexes), which any worker may take while others go on copying. The first error stops
    all workers and is raised; what was finished stays noted in the target's ledger.
    """
    progress = _Progress(observer, work.total_bytes, work.done_bytes)
    for part in work.parts:
        progress.missing[part.table.relation] = progress.missing.get(part.table.relation, 0) + 1
    stop = threading.Event()
    errors: list[BaseException] = []

    def copying(parts: Sequence[Part]) -> Task:
        def task(worker: Worker) -> Iterable[Task]:
            rows = worker.copy(parts, batch, progress.add, stop)
            ended = (part for part, some in zip(parts, rows, strict=True)
                     if progress.part_done(part, some))  # fmt: skip
            return [more for part in ended for more in table_done(part.table.relation)]

        return task

    todo = _Queue(copying(parts) for parts in bundles(work.parts))

    def drain(number: int) -> None:
        worker = Worker(reader, target, number)
        try:
            while (task := todo.take()) is not None:
                todo.done(task(worker))
        except BaseException as error:
            errors.append(error)
            stop.set()
            todo.stop()
        finally:
            worker.close()

    threads = [
        threading.Thread(target=drain, args=(number,), name=f"copy {number}", daemon=True)
        for number in range(1, jobs + 1)
    ]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    except KeyboardInterrupt:
        stop.set()
        todo.stop()
        for thread in threads:
            thread.join(timeout=5)
        raise
    if errors:
        first = next((error for error in errors if not isinstance(error, StoppedError)), errors[0])
        raise first
    observer.progress("copy", work.total_bytes, work.total_bytes, "bytes")
    return progress.rows
