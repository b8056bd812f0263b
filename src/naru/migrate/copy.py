"""The copy: parts of tables in one queue, worked off by a few threads, indexes in between."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from naru.errors import StoppedError
from naru.migrate.ledger import Begun
from naru.migrate.names import Relation
from naru.migrate.parts import Part, Table, bundles, cut, cut_into, may_stay_whole
from naru.migrate.reading import Reader
from naru.migrate.sides import Side
from naru.migrate.transfer import Worker
from naru.postgres import Connection
from naru.system import SILENT, Observer


@dataclass(frozen=True)
class Plan:
    """What is left to copy: parts by size, and how large everything is."""

    parts: list[Part]
    total_bytes: int
    done_bytes: int
    kept: int
    """Parts that are copied, of tables that are not complete yet."""
    anew: list[Relation]
    """Tables of which parts are copied that fit no others any more."""


def can_split(source: Connection) -> bool:
    """True if the source reads a range of pages without reading all before it."""
    return source.info.server_version >= 140000


def what_is_left(
    tables: Sequence[Table],
    complete: Container[Relation],
    begun: Mapping[Relation, Begun],
    jobs: int,
    *,
    can_split: bool = True,
) -> Plan:
    """Cut `tables` into parts, and leave out what is copied.

    They are as the copy's snapshot has them, so that no page is missed; what is `begun` must
    have been copied from the same one, and such a table is cut as it was cut then.
    Unless its rows lie elsewhere by now: parts are ranges of pages, and pages of two files
    do not go together. Such a table is copied anew.
    """
    total = sum(table.bytes for table in tables)
    whole = may_stay_whole(total, jobs)
    left: list[Part] = []
    anew: list[Relation] = []
    done = kept = 0
    for table in tables:
        before = begun.get(table.relation)
        if table.relation in complete:
            done += table.bytes
        elif before is not None and before.filenode == table.filenode:
            parts = cut_into(replace(table, pages=before.pages), before.of)
            left += [part for part in parts if part.number not in before.numbers]
            done += sum(part.bytes for part in parts if part.number in before.numbers)
            kept += len(before.numbers)
        else:
            left += cut(table, can_split=can_split and table.bytes > whole)
            anew += [table.relation] if before is not None else []
    return Plan(left, total, done, kept, anew)


@dataclass
class _Progress:
    """Shared between workers: what has been moved, and which tables still miss parts."""

    observer: Observer
    total: int
    moved: int
    rows: int = 0
    ended: bool = False
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

    def all_done(self) -> bool:
        """True once, when no part is missing any more."""
        with self.lock:
            ended, self.ended = self.ended, not any(self.missing.values())
            return self.ended and not ended


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
    rows_done: Callable[[], None] = lambda: None,
    observer: Observer = SILENT,
) -> int:
    """Copy the planned parts with `jobs` workers; give the number of rows.

    `table_done` is asked right after a table's last part for more to do with it (its
    indexes), which any worker may take while others go on copying. `rows_done` hears that
    the last part is copied and no worker sees the snapshot any more. The first error stops
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
            ended = [part for part, some in zip(parts, rows, strict=True)
                     if progress.part_done(part, some)]  # fmt: skip
            if progress.all_done():
                let_go()
            return [more for part in ended for more in table_done(part.table.relation)]

        return task

    workers = [Worker(reader, target, number) for number in range(1, jobs + 1)]

    def let_go() -> None:
        for worker in workers:
            worker.let_go()
        rows_done()

    if progress.all_done():
        let_go()
    todo = _Queue(copying(parts) for parts in bundles(work.parts))

    def drain(worker: Worker) -> None:
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
        threading.Thread(target=drain, args=(worker,), name=f"copy {number}", daemon=True)
        for number, worker in enumerate(workers, 1)
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
