"""What clients without a pooler go through when writes switch sides, forth and back.

Two plain servers; the clients know both addresses, in one connection string, and connect
again after an error, a tenth of a second later. Each puts rows into the database as fast as
it is told. A client's outage is the time between its last commit on the side that was left
and its first one on the other. At the end every acknowledged row is looked for.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import psycopg
from _kit import Pair, servers
from psycopg import sql

from naru.journal import Journal
from naru.migrate import (
    Bounds,
    Limits,
    Record,
    SeenAt,
    Start,
    Switcher,
    begin_or_resume,
    catch_up,
)
from naru.postgres import connect, fetch_value, generate_password

RETRY_SECONDS = 0.1
AROUND_SECONDS = 3.0
_TABLES = """
CREATE ROLE client LOGIN PASSWORD {password};
CREATE TABLE note (id bigserial PRIMARY KEY, client int NOT NULL, number int NOT NULL);
GRANT INSERT ON note TO client;
GRANT USAGE ON SEQUENCE note_id_seq TO client
"""


@dataclass
class Client:
    """One application that connects by itself; its times are seconds since the epoch."""

    number: int
    conninfo: str
    over: threading.Event
    commits: list[float] = field(default_factory=list)
    errors: list[tuple[float, str]] = field(default_factory=list)

    def run(self) -> None:
        while not self.over.is_set():
            try:
                with psycopg.connect(self.conninfo, autocommit=True) as connection:
                    self._write(connection)
            except psycopg.Error as error:
                self.errors.append((time.time(), error.sqlstate or type(error).__name__))
                self.over.wait(RETRY_SECONDS)

    def _write(self, connection: psycopg.Connection) -> None:
        while not self.over.wait(0.01):
            connection.execute(
                "INSERT INTO note (client, number) VALUES (%s, %s)",
                [self.number, len(self.commits)],
            )
            self.commits.append(time.time())


def outage(client: Client, began: float, ended: float) -> float:
    """Milliseconds between this client's commits around a switch, at their longest."""
    times = [at for at in client.commits if began - 1 <= at <= ended + AROUND_SECONDS]
    return 1000 * max((after - before for before, after in pairwise(times)), default=0.0)


@dataclass(frozen=True)
class Seen:
    """One switch as the clients saw it; milliseconds."""

    to: str
    held: float
    """What naru needed between shutting one side and opening the other."""
    median: float
    worst: float
    errors: float
    """For each client, on average."""


def switch(record: Record, clients: list[Client]) -> Seen:
    """One switch, and what the clients saw of it."""
    before = [len(one.errors) for one in clients]
    crossing = Switcher(record, (), Limits()).cross(verify=False)
    time.sleep(AROUND_SECONDS)
    began = record.run.events("cutover.pause")[-1].at
    ended = record.run.events("cutover.resume")[-1].at
    outages = [outage(one, began, ended) for one in clients]
    catch_up(record)
    errors = [len(one.errors) - count for one, count in zip(clients, before, strict=True)]
    return Seen(
        crossing.at, crossing.pause_ms, statistics.median(outages), max(outages),
        statistics.mean(errors),
    )  # fmt: skip


def measure(pair: Pair, folder: Path, count: int, switches: int) -> dict[str, object]:
    """Follow, switch as often as asked while all write, and account for every row."""
    secret = generate_password()
    with connect(pair.source, purpose="bench") as connection:
        connection.execute(sql.SQL(_TABLES).format(password=sql.Literal(secret)))
    conninfo = (
        f"host=127.0.0.1,127.0.0.1 port={pair.old.port},{pair.new.port} dbname=bench"
        f" user=client password={secret} target_session_attrs=read-write connect_timeout=2"
    )
    over = threading.Event()
    with Journal.in_folder(folder) as journal:
        record = begin_or_resume(journal, "bench", pair.source, pair.target, SeenAt())
        Start(record, Bounds()).perform()
        clients = [Client(number, conninfo, over) for number in range(count)]
        threads = [threading.Thread(target=one.run) for one in clients]
        for thread in threads:
            thread.start()
        try:
            time.sleep(2)
            runs = []
            for _ in range(switches):
                runs.append(switch(record, clients))
                print(runs[-1], file=sys.stderr, flush=True)
        finally:
            over.set()
            for thread in threads:
                thread.join()
        with connect(record.live.dsn, purpose="bench") as connection:
            rows = int(fetch_value(connection, "SELECT count(DISTINCT (client, number)) FROM note"))
    acknowledged = sum(len(one.commits) for one in clients)
    held = [one.held for one in runs]
    return {
        "clients": count,
        "switches": switches,
        "retry_seconds": RETRY_SECONDS,
        "libpq": psycopg.pq.version(),
        "load": round(os.getloadavg()[0], 1),
        "outage_ms": {
            "median": round(statistics.median(one.median for one in runs), 1),
            "worst": round(max(one.worst for one in runs), 1),
        },
        "held_ms": {"median": round(statistics.median(held), 1), "worst": max(held)},
        "errors_a_client": round(statistics.mean(one.errors for one in runs), 2),
        "refusals": sorted({state for one in clients for _, state in one.errors}),
        "acknowledged": acknowledged,
        "lost": max(0, acknowledged - rows),
    }


def main() -> None:
    """Run it, print JSON, leave nothing behind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--switches", type=int, default=10)
    parser.add_argument("--clients", type=int, default=20)
    wanted = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="naru-bench-"))
    try:
        with servers() as pair:
            found = measure(pair, folder, wanted.clients, wanted.switches)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
