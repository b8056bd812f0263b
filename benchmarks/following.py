"""Following: how fast changes are applied, and what watching it costs.

A migration is brought to where it follows, and beside it a plain subscription of all tables
is made by hand on a copy of the target. Then, round by round, both are stopped, the source
gets a backlog of transactions, and each catches up by itself: naru's subscription, the plain
one, and naru's again with `naru lag --watch` looking at it all the time.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from _kit import Naru, Pair, server_cpu, servers
from psycopg import sql

from naru.postgres import Connection, connect, fetch_value
from naru.system import run

_PLAIN = "plain"
_LOOK_SECONDS = 0.02
_MOST_SECONDS = 600.0


def fill(pair: Pair, scale: int) -> None:
    """pgbench's tables, with a key on its history: without one its changes are only inserts."""
    pgbench = pair.old.installation.tool("pgbench")
    run(
        [pgbench, "--initialize", "--quiet", "--scale", str(scale)],
        seconds=600, env=pair.source.environment(),
    )  # fmt: skip
    with connect(pair.source, purpose="bench") as connection:
        connection.execute("ALTER TABLE pgbench_history ADD id bigserial PRIMARY KEY")


def change(pair: Pair, transactions: int) -> None:
    """Four changes in each transaction: three updates and an insert."""
    pgbench = pair.old.installation.tool("pgbench")
    each = [str(transactions // 2)]
    run(
        [pgbench, "--no-vacuum", "--client=2", "--jobs=2", "--protocol=prepared",
         "--transactions", *each],
        seconds=600, env={**pair.source.environment(), "PGOPTIONS": "-c synchronous_commit=off"},
    )  # fmt: skip


@dataclass(frozen=True)
class Follower:
    """One subscription, with the slot that it reads."""

    name: str
    database: str
    pair: Pair

    def _target(self) -> Connection:
        return connect(self.pair.new.dsn(self.database), purpose="bench")

    def stop(self) -> None:
        """Disable it, and wait until nobody reads its slot."""
        with self._target() as target, connect(self.pair.source, purpose="bench") as source:
            target.execute(
                sql.SQL("ALTER SUBSCRIPTION {} DISABLE").format(sql.Identifier(self.name))
            )
            self._until(source, "NOT active")

    def seconds(self) -> float:
        """Enable it, and give the seconds until it has confirmed what is written now."""
        with self._target() as target, connect(self.pair.source, purpose="bench") as source:
            end = fetch_value(source, "SELECT pg_current_wal_flush_lsn()::text")
            begin = time.monotonic()
            target.execute(
                sql.SQL("ALTER SUBSCRIPTION {} ENABLE").format(sql.Identifier(self.name))
            )
            self._until(source, f"confirmed_flush_lsn >= '{end}'")
            return time.monotonic() - begin

    def _until(self, source: Connection, condition: str) -> None:
        text = f"SELECT {condition} FROM pg_replication_slots WHERE slot_name = '{self.name}'"
        deadline = time.monotonic() + _MOST_SECONDS
        while not fetch_value(source, text):
            if time.monotonic() > deadline:
                raise SystemExit(f"{self.name} did not come to: {condition}")
            time.sleep(_LOOK_SECONDS)


@contextlib.contextmanager
def plain(pair: Pair) -> Iterator[Follower]:
    """A subscription made by hand, on a copy of the target, which nobody may be using."""
    identifier = sql.Identifier(_PLAIN)
    with connect(pair.new.dsn(), purpose="bench") as target:
        target.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                identifier, sql.Identifier(pair.database)
            )
        )
    with connect(pair.source, purpose="bench") as source:
        source.execute(sql.SQL("CREATE PUBLICATION {} FOR ALL TABLES").format(identifier))
    with connect(pair.new.dsn(_PLAIN), purpose="bench") as target:
        dsn = pair.source
        words = f"host={dsn.host} port={dsn.port} dbname={dsn.database} user={dsn.user}"
        target.execute(
            sql.SQL(
                "CREATE SUBSCRIPTION {name} CONNECTION {place} PUBLICATION {name}"
                " WITH (copy_data = false)"
            ).format(
                name=identifier, place=sql.Literal(f"{words} password={dsn.parameters['password']}")
            )
        )
    yield Follower(_PLAIN, _PLAIN, pair)
    with connect(pair.new.dsn(_PLAIN), purpose="bench") as target:
        target.execute(sql.SQL("DROP SUBSCRIPTION {}").format(identifier))
    with connect(pair.source, purpose="bench") as source:
        source.execute(sql.SQL("DROP PUBLICATION {}").format(identifier))


class Watch:
    """`naru lag --watch` as users run it, with what it costs."""

    def __init__(self, naru: Naru, home: Path) -> None:
        self._argv, self._env, self._home = naru.command("lag"), naru.secrets(), home

    def __enter__(self) -> Watch:
        self._process = subprocess.Popen(
            [*self._argv, "--watch"], env={**os.environ, **self._env}, cwd=self._home,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        time.sleep(2.0)
        self._before = self._cpu()
        return self

    def __exit__(self, *error: object) -> None:
        self.cpu = self._cpu() - self._before
        self._process.terminate()
        self._process.wait(10)

    def _cpu(self) -> float:
        if self._process.poll() is not None:
            raise SystemExit(f"naru lag --watch ended with {self._process.returncode}")
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


@dataclass
class Found:
    """Seconds to catch up, and CPU of the servers in them; round by round."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    servers: dict[str, list[float]] = field(default_factory=dict)
    watch_cpu: list[float] = field(default_factory=list)

    def add(self, name: str, follower: Follower, pair: Pair) -> float:
        before = server_cpu(pair)
        seconds = follower.seconds()
        self.seconds.setdefault(name, []).append(seconds)
        self.servers.setdefault(name, []).append(server_cpu(pair) - before)
        print(f"{name:<24} {seconds:7.2f} s", file=sys.stderr, flush=True)
        return seconds


def measure(pair: Pair, rounds: int, transactions: int) -> Found:
    """Migrate, then stop, change and catch up, round by round; the order changes each time."""
    found = Found()
    naru = Naru(pair, jobs=2)
    pair.fresh_target(made=False)
    home = Path(tempfile.mkdtemp(dir=pair.folder))
    naru.start(home)
    try:
        with connect(pair.new.dsn(), purpose="bench") as target:
            name = str(fetch_value(target, "SELECT subname FROM pg_subscription"))
        ours = Follower(name, pair.database, pair)
        ours.stop()
        with plain(pair) as theirs:
            for number in range(rounds):
                for follower in (ours, theirs):
                    follower.stop()
                change(pair, transactions)
                order = [("naru", ours), ("plain subscription", theirs)]
                for what, follower in order if number % 2 == 0 else order[::-1]:
                    found.add(what, follower, pair)
                    follower.stop()
                change(pair, transactions)
                with Watch(naru, home) as watch:
                    found.add("naru, watched", ours, pair)
                found.watch_cpu.append(watch.cpu)
                theirs.seconds()
    finally:
        naru.abort(home)
    return found


def main() -> None:
    """Run it, print a table and JSON, leave nothing behind."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--small", action="store_true", help="a tenth of the transactions")
    options.add_argument("--rounds", type=int, default=3)
    given = options.parse_args()
    transactions = 20_000 if given.small else 200_000
    with servers() as pair:
        fill(pair, 10)
        found = measure(pair, given.rounds, transactions)
    medians = {name: statistics.median(each) for name, each in found.seconds.items()}
    changes = 4 * transactions
    print(f"{changes:,} changes in {transactions:,} transactions; {os.cpu_count()} cores")
    for name, seconds in medians.items():
        ratio = seconds / medians["naru"]
        print(f"{name:<24} {seconds:7.2f} s  {changes / seconds:9,.0f} changes/s  {ratio:5.2f}")
    shares = [
        cost / servers_cpu
        for cost, servers_cpu in zip(found.watch_cpu, found.servers["naru, watched"], strict=True)
    ]
    print(f"watching: {100 * statistics.median(shares):.2f} % of the CPU that the servers took")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(
        json.dumps(
            {
                "benchmark": "following", "changes": changes, "seconds": found.seconds,
                "server_cpu": found.servers, "watch_cpu": found.watch_cpu,
                "watch_share": statistics.median(shares), "peak_mb": round(peak),
            }
        )
    )  # fmt: skip


if __name__ == "__main__":
    main()
