"""`naru verify --live` while replication runs: no change on its way is taken for a difference.

Clients change the source so many times a second (inserts, updates, deletes, changed keys, values
out of line, rows that move between partitions, a table without a key), and naru compares again
and again. After two fifths of the time rows are spoilt on the target that no client touches:
each of them has to be named, and nothing else ever. Exit code 1 if that fails.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import random
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

import psycopg
from _kit import Pair, servers
from psycopg import sql
from psycopg.conninfo import make_conninfo

from naru.postgres import Connection, Dsn, connect, fetch_value
from naru.system import wait_until

SLOT = "naru_live"
CLIENTS = 8

TABLES = """
CREATE TABLE account (id bigint PRIMARY KEY, name text, balance numeric NOT NULL, seen timestamptz);
CREATE TABLE journal (account bigint, amount numeric);
ALTER TABLE journal REPLICA IDENTITY FULL;
CREATE TABLE document (id int PRIMARY KEY, title text, body text, scan bytea);
ALTER TABLE document ALTER body SET STORAGE EXTERNAL;
CREATE TABLE event (id bigint, day date, what text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
CREATE TABLE event_old PARTITION OF event FOR VALUES FROM (MINVALUE) TO ('2024-01-01');
CREATE TABLE event_new PARTITION OF event FOR VALUES FROM ('2024-01-01') TO (MAXVALUE);
CREATE TABLE tag (owner text, label text, weight float8, PRIMARY KEY (owner, label));
"""
FILL = """
INSERT INTO account SELECT n, 'account ' || n, n, now() FROM generate_series(-50, 20000) n;
INSERT INTO journal SELECT n % 500, n % 7 FROM generate_series(1, 2000) n;
INSERT INTO document SELECT n, 'title ' || n, repeat(md5(n::text), 400), decode(md5(n::text), 'hex')
  FROM generate_series(-5, 300) n;
INSERT INTO event SELECT n, date '2023-07-01' + abs(n)::int % 365, 'event ' || n
  FROM generate_series(-50, 5000) n;
INSERT INTO tag SELECT 'owner ' || n % 100, 'label ' || n, n FROM generate_series(-50, 5000) n;
"""
CHANGES = (
    "UPDATE account SET balance = balance + 1, seen = now() WHERE id = {a}",
    "UPDATE account SET balance = balance - 1 WHERE id IN ({a}, {b})",
    "INSERT INTO account VALUES ({n}, 'new', 0, now())",
    "DELETE FROM account WHERE id = (SELECT max(id) FROM account)",
    "UPDATE account SET id = {n} WHERE id = {a}",
    "INSERT INTO account VALUES ({a}, 'back', 0, now()) ON CONFLICT DO NOTHING",
    "INSERT INTO account VALUES ({b}, 'back', 1, now()) ON CONFLICT DO NOTHING",
    "INSERT INTO journal VALUES ({a}, {r})",
    "DELETE FROM journal WHERE ctid = (SELECT ctid FROM journal LIMIT 1)",
    "UPDATE journal SET amount = amount + 0.5 WHERE ctid = (SELECT max(ctid) FROM journal)",
    "UPDATE document SET title = 'title {r}' WHERE id = 1 + {r} % 300",
    "UPDATE document SET body = repeat(md5('{r}'), 400) WHERE id = 1 + {r} % 300",
    "UPDATE event SET day = day + 183 WHERE id = 1 + {r} % 5000 AND day < '2024-01-01'",
    "UPDATE event SET day = day - 183 WHERE id = 1 + {r} % 5000 AND day >= '2024-01-01'",
    "UPDATE event SET what = 'event {r}' WHERE id = 1 + {r} % 5000",
    "UPDATE tag SET weight = -weight WHERE label = 'label ' || 1 + {r} % 5000",
    "UPDATE tag SET label = label || '+' WHERE label = 'label ' || 1 + {r} % 5000",
    "UPDATE tag SET label = rtrim(label, '+') WHERE label = 'label ' || 1 + {r} % 5000 || '+'",
    "UPDATE tag SET weight = weight + 1 WHERE owner = 'owner {s}' AND label LIKE '%{d}'",
)
"""What takes rows away has what brings them back, so that as many are met at the end."""
PLANTED = {
    ("public.account", "changed", "-7"): "UPDATE account SET balance = balance * 1.0 WHERE id = -7",
    ("public.account", "missing", "-8"): "DELETE FROM account WHERE id = -8",
    ("public.account", "extra", "-99"): "INSERT INTO account VALUES (-99, 'nobody', 0, NULL)",
    ("public.document", "changed", "-3"): "UPDATE document SET body = body || ' ' WHERE id = -3",
    ("public.event", "changed", "-9"): "UPDATE event SET what = NULL WHERE id = -9",
    ("public.tag", "missing", "owner 0"): "DELETE FROM tag WHERE label = 'label 0'",
    ("public.journal", "extra", "-1"): "INSERT INTO journal VALUES (-1, -1)",
}
"""By table, kind and first value of the key; no client touches these rows."""


_BEATEN = (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure)
"""What a client meets where another was faster: it goes on with the next change."""


@dataclass
class Result:
    """What was seen. Seconds of `found_after` begin where the rows were spoilt."""

    seconds: float = 0.0
    changes: int = 0
    passes: int = 0
    pass_seconds: list[float] = field(default_factory=list)
    looked_again: int = 0
    pending: int = 0
    false_reports: list[str] = field(default_factory=list)
    planted: int = len(PLANTED)
    found: int = 0
    found_after: float | None = None

    wanted_rate: float = 0.0

    @property
    def holds(self) -> bool:
        kept_up = self.rate >= 0.98 * self.wanted_rate
        return kept_up and not self.false_reports and self.found == self.planted

    def lines(self) -> Iterator[str]:
        yield f"{self.seconds:.0f} s, {self.changes:,} rows changed: {self.rate:.0f} a second"
        median = statistics.median(self.pass_seconds or [0.0])
        yield f"comparisons: {self.passes}, {median:.1f} s each (median)"
        yield f"rows looked at again: {self.looked_again:,}"
        yield f"rows left pending at the end of a comparison: {self.pending:,}"
        yield f"false reports: {len(self.false_reports)}"
        yield from (f"  {report}" for report in self.false_reports[:20])
        after = "" if self.found_after is None else f", all of them after {self.found_after:.1f} s"
        yield f"planted differences named: {self.found} of {self.planted}{after}"

    @property
    def rate(self) -> float:
        return self.changes / self.seconds if self.seconds else 0.0


class Clients:
    """Change the source at a steady rate, from some connections at once."""

    def __init__(self, source: Dsn, rate: float) -> None:
        self.changes = 0
        self._source, self._rate = source, rate
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._failures: list[Exception] = []
        self._threads = [threading.Thread(target=self._run, args=(n,)) for n in range(CLIENTS)]

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def check(self) -> None:
        """Raise what ended a client."""
        if self._failures:
            raise self._failures[0]

    def _run(self, number: int) -> None:
        try:
            with connect(self._source, purpose="client") as connection:
                self._work(connection, random.Random(number), number)
        except Exception as error:
            self._failures.append(error)

    def _work(self, connection: Connection, dice: random.Random, number: int) -> None:
        fresh = itertools.count((number + 1) * 10**9)
        begin, done = time.monotonic(), 0
        while not self._stop.is_set():
            owed = self._rate / CLIENTS * (time.monotonic() - begin) - done
            with contextlib.suppress(*_BEATEN):
                done += self._change(connection, dice, fresh, late=owed > self._rate / CLIENTS)
            ahead = done / (self._rate / CLIENTS) - (time.monotonic() - begin)
            self._stop.wait(max(0.0, ahead))

    def _change(
        self, connection: Connection, dice: random.Random, fresh: Iterator[int], *, late: bool
    ) -> int:
        """One transaction, sometimes of several statements, sometimes rolled back: the rows that
        it changed for good. Who is `late` does more in one.
        """
        rows = 0
        count = 10 if late else 1 if dice.random() < 0.9 else 3
        undone = dice.random() < 0.02
        with connection.transaction(force_rollback=undone):
            for _ in range(count):
                statement = dice.choice(CHANGES).format(
                    a=dice.randint(1, 20000), b=dice.randint(1, 20000), n=next(fresh),
                    r=dice.randint(0, 10**6), s=dice.randint(1, 99), d=dice.randint(0, 9),
                )  # fmt: skip
                rows += max(0, connection.execute(statement.encode()).rowcount)
        if undone:
            return 0
        with self._lock:
            self.changes += rows
        return rows


@contextlib.contextmanager
def following(pair: Pair) -> Iterator[None]:
    """Make the tables, and have the target follow the source through one slot."""
    pair.fresh_target(made=True)
    name = sql.Identifier(SLOT)
    with connect(pair.source, purpose="bench") as source:
        with connect(pair.target, purpose="bench") as target:
            source.execute(TABLES.encode() + FILL.encode())
            target.execute(TABLES.encode())
            source.execute(sql.SQL("CREATE PUBLICATION {} FOR ALL TABLES").format(name))
            where = sql.Literal(make_conninfo("", **pair.source.parameters))
            make = sql.SQL("CREATE SUBSCRIPTION {0} CONNECTION {1} PUBLICATION {0}")
            target.execute(make.format(name, where))
            try:
                ready = "SELECT bool_and(srsubstate = 'r') FROM pg_subscription_rel"
                wait_until(lambda: fetch_value(target, ready), "the tables to be copied", 120)
                yield
            finally:
                target.execute(sql.SQL("DROP SUBSCRIPTION {}").format(name))


def compare(pair: Pair) -> dict[str, object]:
    """`naru verify --live` as users run it."""
    secrets = pair.folder / "passfile"
    both = (pair.old, pair.new)
    secrets.touch(mode=0o600)
    secrets.write_text("".join(f"127.0.0.1:{s.port}:*:postgres:{s.password}\n" for s in both))
    sides = [f"postgresql://postgres@127.0.0.1:{s.port}/{pair.database}" for s in both]
    state = pair.folder / "state"
    found = subprocess.run(
        [sys.executable, "-m", "naru", "verify", "--source", sides[0], "--target", sides[1],
         "--live", "--slot", SLOT, "--json", "--state", str(state)],
        env={**os.environ, "PGPASSFILE": str(secrets)}, cwd=pair.folder,
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if found.returncode not in (0, 1):
        raise SystemExit(f"naru ended with {found.returncode}:\n{found.stderr[-3000:]}")
    document: dict[str, object] = json.loads(found.stdout)
    return document


def plant(pair: Pair) -> None:
    """Spoil rows on the target, so that they do not travel on."""
    with connect(pair.target, purpose="bench") as target:
        for statement in PLANTED.values():
            target.execute(statement.encode())


def take_in(document: dict[str, object], result: Result, *, planted: bool) -> None:
    """Count what one comparison said."""
    result.passes += 1
    seen = set()
    for table in document["tables"]:  # type: ignore[attr-defined]
        result.looked_again += table.get("looked_again", 0)
        result.pending += table.get("pending_found", 0)
        if table.get("reason"):
            result.false_reports.append(f"{table['table']}: {table['reason']}")
        named = table["differences"]
        for one in named:
            place = (table["table"], one["kind"], str(next(iter(one["key"].values()))))
            if planted and place in PLANTED:
                seen.add(place)
            else:
                result.false_reports.append(f"{table['table']}: {one}")
        if table["differences_found"] > len(named):
            more = table["differences_found"] - len(named)
            result.false_reports.append(f"{table['table']}: {more} more")
    result.false_reports += [f"schema: {one}" for one in document["schema"]]  # type: ignore[attr-defined]
    result.found = max(result.found, len(seen))


def prove(pair: Pair, seconds: float, rate: float) -> Result:
    """Change, compare, spoil, compare, until the time is over."""
    result = Result(wanted_rate=rate)
    with following(pair), Clients(pair.source, rate) as clients:
        begin, spoilt = time.monotonic(), 0.0
        while (now := time.monotonic()) < begin + seconds or not spoilt or result.passes < 2:
            if not spoilt and now >= begin + 0.4 * seconds and result.passes:
                plant(pair)
                spoilt = time.monotonic()
            at = time.monotonic()
            take_in(compare(pair), result, planted=bool(spoilt))
            result.pass_seconds.append(round(time.monotonic() - at, 2))
            if result.found == result.planted and result.found_after is None:
                result.found_after = time.monotonic() - spoilt
            print(f"{time.monotonic() - begin:6.1f} s  again {result.looked_again}"
                  f"  false {len(result.false_reports)}  found {result.found}",
                  file=sys.stderr, flush=True)  # fmt: skip
            clients.check()
        result.seconds, result.changes = time.monotonic() - begin, clients.changes
    return result


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=600)
    options.add_argument("--rate", type=float, default=500, help="rows changed in a second")
    given = options.parse_args()
    with servers() as pair:
        result = prove(pair, given.seconds, given.rate)
    for line in result.lines():
        print(line)
    print(json.dumps({"benchmark": "live", **asdict(result), "holds": result.holds}))
    return 0 if result.holds else 1


if __name__ == "__main__":
    sys.exit(main())
