"""How a migration grows: with the rows of one table, with the number of tables, with workers.

Naru alone, from the oldest PostgreSQL here to the newest. Bytes: one table with three
indexes at four sizes, copied and indexed, then compared. Tables: empty ones with a key and
an index, at three numbers. Workers: the largest of those tables, by one, two and four.
Only the ratios between the lines travel to other machines.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import dataclass

from _kit import Naru, Pair, server_cpu, servers
from many_tables import fill as make_tables

from naru.postgres import connect, fetch_value
from naru.verify import Options, compare

_ONE = """
CREATE TABLE one (id bigint PRIMARY KEY, account int NOT NULL, email text NOT NULL,
    amount numeric(12, 2), made timestamptz NOT NULL, note text)
"""
_ROWS = """
INSERT INTO one SELECT n, (n::int8 * 7919) %% 100003, md5(n::text) || '@example.com',
    n %% 1000000 / 100.0, timestamptz '2024-01-01' + n * interval '1 second',
    repeat(md5('n' || n), 2)
FROM generate_series(%s::int, %s::int) n
"""
_SIZE = "SELECT pg_database_size(current_database())"
_INDEXES = ("CREATE INDEX ON one (account, made)", "CREATE INDEX ON one (email)")


@dataclass(frozen=True)
class Line:
    """One measurement; seconds, and bytes of memory."""

    what: str
    megabytes: float
    tables: int
    jobs: int
    start: float
    """From the command to the subscription."""
    copy: float
    """The step that makes the tables and copies their rows."""
    build: float
    """What is left of keys and indexes after the copy."""
    client_cpu: float
    server_cpu: float
    """Of both servers. On a busy machine it tells more than the clock."""
    memory: int
    """The largest process of naru's."""
    compare: float
    compare_cpu: float
    """Of the source, which is compared with itself, and so of both sides."""

    def __str__(self) -> str:
        return (
            f"{self.what:<10} {self.megabytes:8.0f} MB {self.tables:6} tables {self.jobs} workers:"
            f" start {self.start:6.1f} s (copy {self.copy:.1f}, build {self.build:.1f}),"
            f" CPU of naru {self.client_cpu:.1f} s, of servers {self.server_cpu:.1f} s,"
            f" memory {self.memory >> 20} MB,"
            f" compare {self.compare:.1f} s, CPU of servers {self.compare_cpu:.1f} s"
        )


def measure(pair: Pair, what: str, jobs: int) -> Line:
    """Start to the subscription, and a comparison of a copy that stands still."""
    run = Naru(pair, jobs)()
    with connect(pair.source, purpose="bench") as connection:
        megabytes = int(fetch_value(connection, _SIZE)) / 2**20
        tables = int(fetch_value(connection, "SELECT count(*) FROM pg_stat_user_tables"))
    line = Line(
        what, round(megabytes, 1), tables, jobs, round(run.seconds, 2), run.steps["copy"],
        run.steps["indexes"], round(run.cpu, 2), round(run.server_cpu, 2), run.memory,
        *seconds_to_compare(pair, jobs),
    )  # fmt: skip
    print(f"{line}; load {run.load:.1f}", file=sys.stderr, flush=True)
    return line


def seconds_to_compare(pair: Pair, jobs: int) -> tuple[float, float]:
    """The source with itself, which reads and hashes as much as with a copy; and its CPU."""
    began, before = time.monotonic(), server_cpu(pair)
    compare(pair.source, pair.source, options=Options(jobs=jobs))
    return round(time.monotonic() - began, 2), round(server_cpu(pair) - before, 2)


def grow(pair: Pair, last: int, rows: int) -> None:
    """Rows `last` + 1 up to `rows` more; the indexes are made with the first."""
    with connect(pair.source, purpose="bench") as connection:
        if not last:
            connection.execute(_ONE)
        connection.execute(_ROWS, [last + 1, rows])
        if not last:
            for index in _INDEXES:
                connection.execute(index.encode())
        connection.execute("VACUUM ANALYZE one")


def main() -> None:
    """Run it, print JSON, leave nothing behind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="a tenth of the size")
    wanted = parser.parse_args()
    part = 10 if wanted.small else 1
    lines: list[Line] = []
    with servers() as pair:
        last = 0
        for rows in (500_000, 1_000_000, 2_000_000, 4_000_000):
            grow(pair, last, rows // part)
            last = rows // part
            lines.append(measure(pair, "bytes", 2))
        lines += [measure(pair, "workers", jobs) for jobs in (1, 2, 4)]
    made = 0
    with servers() as pair:
        for tables in (1_000, 3_000, 10_000):
            make_tables(pair, tables // part, first=made + 1)
            made = tables // part
            lines.append(measure(pair, "tables", 2))
    print(json.dumps({"cores": os.cpu_count(), "lines": [vars(one) for one in lines]}, indent=2))


if __name__ == "__main__":
    main()
