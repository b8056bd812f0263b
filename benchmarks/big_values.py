"""Values of hundreds of megabytes: what naru verify needs of the client and of each server.

One row with a bytea and one with a text, then ten rows of a hundred megabytes each: equal
on both sides, then with the last byte of one value changed on the target, which has to be named.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from _kit import Pair, servers, timed

from naru.postgres import connect

TABLES = """
CREATE TABLE body (id int PRIMARY KEY, value bytea);
CREATE TABLE words (id int PRIMARY KEY, value text);
CREATE TABLE many (id int PRIMARY KEY, value bytea);
ALTER TABLE body ALTER value SET STORAGE EXTERNAL;
ALTER TABLE words ALTER value SET STORAGE EXTERNAL;
ALTER TABLE many ALTER value SET STORAGE EXTERNAL;
INSERT INTO body SELECT 1, decode(repeat(md5('a'), ONE * 65536), 'hex');
INSERT INTO words SELECT 1, repeat(md5('b'), ONE * 32768);
INSERT INTO many SELECT n, decode(repeat(md5(n::text), TENTH * 65536), 'hex')
  FROM generate_series(1, 10) n
"""
SPOIL = {
    "body": "UPDATE body SET value = set_byte(value, length(value) - 1, 0)",
    "words": "UPDATE words SET value = overlay(value PLACING '!' FROM length(value))",
    "many": "UPDATE many SET value = set_byte(value, length(value) - 1, 0) WHERE id = 7",
}


@contextlib.contextmanager
def watched(pair: Pair) -> Iterator[list[int]]:
    """The most memory of its own that a process of either server has, in bytes."""
    most, over = [0], threading.Event()

    def look() -> None:
        parents = {str(server.pid) for server in (pair.old, pair.new)}
        while not over.wait(0.02):
            for path in Path("/proc").glob("[0-9]*/status"):
                with contextlib.suppress(OSError, IndexError, ValueError):
                    lines = dict(line.split(":", 1) for line in path.read_text().splitlines())
                    if lines["PPid"].strip() in parents and "RssAnon" in lines:
                        most[0] = max(most[0], int(lines["RssAnon"].split()[0]) * 1024)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield most
    finally:
        over.set()
        thread.join()


def compare(pair: Pair, table: str, *, differ: bool) -> dict[str, object]:
    """Run `naru verify` on one table, with the page of differences."""
    secrets = pair.folder / "passfile"
    both = (pair.old, pair.new)
    secrets.touch(mode=0o600)
    secrets.write_text("".join(f"127.0.0.1:{s.port}:*:postgres:{s.password}\n" for s in both))
    sides = [f"postgresql://postgres@127.0.0.1:{s.port}/{pair.database}" for s in both]
    page, said = pair.folder / "page.html", pair.folder / "document"
    command = (
        f"{sys.executable} -m naru verify --source {sides[0]} --target {sides[1]} --table {table}"
        f" --html {page} --state {pair.folder}/state --json >{said}"
    )
    wanted = f"{command} || test $? = {int(differ)}"
    with watched(pair) as most:
        begin = time.monotonic()
        run = timed(["bash", "-ec", wanted], {"PGPASSFILE": str(secrets)}, pair.folder)
    (found,) = json.loads(said.read_text())["tables"]
    if found["differences_found"] != int(differ):
        raise SystemExit(f"{table}: {found}")
    shown = page.read_text().partition("<mark>")[2].partition("</div>")[0]
    return {
        "table": table, "differ": differ, "seconds": time.monotonic() - begin,
        "client": run.memory, "server": most[0], "shown": shown,
    }  # fmt: skip


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--megabytes", type=int, default=400, help="of the one big value")
    given = options.parse_args()
    script = TABLES.replace("ONE", str(given.megabytes))
    script = script.replace("TENTH", str(given.megabytes // 4))
    runs = []
    with servers() as pair:
        pair.fresh_target(made=True)
        for dsn in (pair.source, pair.target):
            with connect(dsn, purpose="bench") as connection:
                connection.execute(script.encode())
        for table, spoil in SPOIL.items():
            runs.append(compare(pair, table, differ=False))
            with connect(pair.target, purpose="bench") as connection:
                connection.execute(spoil.encode())
            runs.append(compare(pair, table, differ=True))
    print(f"one value of {given.megabytes} MB; ten of {given.megabytes // 4} MB")
    for run in runs:
        print(
            f"{run['table']:<6} {'differs' if run['differ'] else 'equal':<8}"
            f" {run['seconds']:5.1f} s  client {run['client'] / 2**20:4.0f} MB"  # type: ignore[operator]
            f"  largest server process {run['server'] / 2**20:5.0f} MB"  # type: ignore[operator]
        )
    print(json.dumps({"benchmark": "big values", "megabytes": given.megabytes, "runs": runs}))


if __name__ == "__main__":
    main()
