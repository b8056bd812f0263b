"""A service of 500 MB taken back to a moment in the WAL segment still being written.

How long until the first standby confirms writes again, until every member is in its place, and
whether exactly the transactions up to that moment are there. Run: restore.py [MB] [rounds]
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from naru.backup import target_of
from naru.lab.environment import Environment
from naru.postgres import Dsn, connect, fetch_value
from naru.service.restart import settled
from naru.spec import Spec
from naru.system import private_folder, server_account, wait_until

SEGMENT = 16 * 2**20
PROMISE_SECONDS = 60.0
COMMITS = 500

_FILL = """
CREATE TABLE load (id int8 PRIMARY KEY, body text NOT NULL);
ALTER TABLE load ALTER body SET STORAGE EXTERNAL;
INSERT INTO load SELECT n, (SELECT string_agg(md5((n * 31 + k)::text), '') FROM
    generate_series(1, 30) AS k) FROM generate_series(1, {rows}) AS n;
"""


@dataclass(frozen=True)
class Round:
    """One restore in place; seconds from its beginning."""

    recovered: float
    """Until the data of that moment stood ready, with the service still running."""
    stopped: float
    """Of the time without writes: until all members were stopped and their last WAL had arrived."""
    down: float
    """From the first member stopped until a standby confirmed a write."""
    writable: float
    whole: float
    exact: bool
    """Exactly the transactions acknowledged before the moment are there."""
    load: float


def write(dsn: Dsn, first: int, count: int) -> None:
    """Commit `count` rows, each in a transaction of its own, one after the other."""
    with connect(dsn, purpose="bench") as connection:
        for number in range(first, first + count):
            connection.execute("INSERT INTO ledger (id) VALUES (%s)", [number])


def fill(environment: Environment, megabytes: int) -> int:
    """Bring the service's database to that size; its real size in bytes."""
    with connect(environment.service.writer(), purpose="bench") as connection:
        connection.execute("CREATE TABLE ledger (id int8 PRIMARY KEY, at timestamptz"
                           " NOT NULL DEFAULT clock_timestamp())")  # fmt: skip
        for statement in _FILL.format(rows=megabytes * 940).split(";"):
            if statement.strip():
                connection.execute(statement)
        connection.execute("CHECKPOINT")
        return int(fetch_value(connection, "SELECT pg_database_size(current_database())"))


def once(environment: Environment) -> Round:
    """Write, note a moment in the open segment, write on, and go back to that moment."""
    service, backups = environment.service, environment.backups
    with connect(service.writer(), purpose="bench") as connection:
        connection.execute("TRUNCATE ledger")
    backups.take()
    write(service.writer(), 1, COMMITS)
    with connect(service.writer(), purpose="bench") as connection:
        moment = fetch_value(connection, "SELECT clock_timestamp()")
        position = fetch_value(connection, "SELECT pg_current_wal_lsn() - '0/0'")
    write(service.writer(), COMMITS + 1, COMMITS)
    with connect(service.writer(), purpose="bench") as connection:
        end = fetch_value(connection, "SELECT pg_current_wal_lsn() - '0/0'")
    if int(position) // SEGMENT != int(end) // SEGMENT:
        raise SystemExit("the moment is not in the open segment; run it again")
    load = os.getloadavg()[0]
    state = environment.in_place().restore(backups.plan(target_of(time=str(moment))))
    with connect(service.writer(), purpose="bench") as connection:
        found = fetch_value(connection, "SELECT array_agg(id ORDER BY id) FROM ledger")
    wait_until(lambda: settled(service.status()), "every member to follow", 120)
    environment.in_place().confirm()
    began = state.times["began"]
    return Round(
        recovered=state.times["stopping"] - began,
        stopped=state.times["stopped"] - state.times["stopping"],
        down=state.down_seconds or float("inf"),
        writable=state.times["writable"] - began,
        whole=state.times["whole"] - began,
        exact=found == list(range(1, COMMITS + 1)),
        load=load,
    )


def main() -> int:
    """Run it; exit code 1 when it was not exact, or took longer than promised."""
    given = [int(word) for word in sys.argv[1:]]
    megabytes, rounds = given + [500, 3][len(given) :]
    home = Path(tempfile.mkdtemp(prefix="naru-bench-"))
    private_folder(home, mode=0o755, owner=server_account())
    spec = Spec.model_validate({"backup": {"enabled": True}})
    environment = Environment(spec, home / "state")
    try:
        environment.ground.up()
        environment.service.up()
        environment.backups.up()
        size = fill(environment, megabytes)
        found = [once(environment) for _ in range(rounds)]
    finally:
        environment.ground.down(purge=True)
        shutil.rmtree(home, ignore_errors=True)
    return publish(size, found)


def publish(size: int, found: list[Round]) -> int:
    """A table for people, and JSON on the last line for programs."""
    print(f"{size / 1e6:.0f} MB, {len(found)} rounds, {os.cpu_count()} cores, three members")
    for name in ("recovered", "stopped", "down", "writable", "whole", "load"):
        values = [float(getattr(one, name)) for one in found]
        print(
            f"{name:<12}{statistics.median(values):8.1f}  ({min(values):.1f} to {max(values):.1f})"
        )
    exact = all(one.exact for one in found)
    kept = exact and all(one.writable <= PROMISE_SECONDS for one in found)
    print(f"exact to the transaction: {exact}; writable within {PROMISE_SECONDS:.0f} s: {kept}")
    print(json.dumps({"benchmark": "restore", "bytes": size, "rounds": [vars(r) for r in found]}))
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
