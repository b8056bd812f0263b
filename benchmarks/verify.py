"""Are two databases the same: naru verify against reladiff, md5 of row text, and count(*).

A wide table of 2 million rows and a narrow one of 5 million, equal on the oldest and the
newest PostgreSQL here; everyone has the same number of workers on each side. Then naru
alone: 10 rows of the narrow table differ, then 500,000. Says at the end whether the limits
hold; exit code 1 if one does not.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from _kit import Pair, Run, in_turn, publish, servers, timed

from naru.postgres import LocalServer, connect
from naru.system import run

RELADIFF = ("reladiff==0.6.0", "psycopg2-binary==2.9.13")
NAMED = 1000

_CONTENT = """
CREATE TABLE wide (
    id bigint PRIMARY KEY, account int NOT NULL, state text NOT NULL, email text NOT NULL,
    amount numeric(12, 2), made timestamptz NOT NULL, due timestamp, token uuid NOT NULL,
    note text, weight float8, open boolean);
INSERT INTO wide
SELECT n, (n % 100003 * 7919) % 100003, (ARRAY['new', 'paid', 'sent', 'done'])[1 + n % 4],
       md5(n::text) || '@example.com', (n % 1000000) / 100.0,
       timestamptz '2024-01-01 00:00+00' + (n % 4000000 * 7) % 31536000 * interval '1 second',
       timestamp '2024-02-01' + n % 90 * interval '1 day', md5('t' || n)::uuid,
       repeat(md5('n' || n), 4), n / 7.0, n % 2 = 0
FROM generate_series(1, WIDE) n;
CREATE TABLE narrow (id bigint PRIMARY KEY, account int NOT NULL, amount numeric NOT NULL);
INSERT INTO narrow SELECT n, n % 100003, n % 10007 / 100.0 FROM generate_series(1, NARROW) n;
VACUUM (FREEZE, ANALYZE) wide;
VACUUM (FREEZE, ANALYZE) narrow;
CHECKPOINT
"""
_TEN = """
UPDATE narrow SET amount = amount + 1 WHERE id IN (7, 1007, 30007, 200007, 400007);
DELETE FROM narrow WHERE id IN (8, 250008, 499998);
INSERT INTO narrow VALUES (-1, 1, 1), (-2, 2, 2)
"""
_MANY = "UPDATE narrow SET account = account + 1 WHERE id % 10 = 5"
_MD5 = (
    "SELECT count(*), sum(('x' || substr(md5(t::text), 1, 16))::bit(64)::bigint::numeric)"
    " FROM TABLE t"
)


class Contenders:
    """Everyone who compares, on a pair of servers with the same content."""

    def __init__(self, pair: Pair, jobs: int) -> None:
        self._pair, self._jobs = pair, jobs
        both = (pair.old, pair.new)
        self._secrets = pair.folder / "passfile"
        lines = [f"127.0.0.1:{s.port}:*:postgres:{s.password}\n" for s in both]
        self._secrets.write_text("".join(lines))
        self._secrets.chmod(0o600)
        self._uris = [f"postgresql://postgres@127.0.0.1:{s.port}/{pair.database}" for s in both]

    def naru(self, *more: str, differ: bool = False) -> Callable[[], Run]:
        """`naru verify` as users run it; its document goes to `document`."""

        def go() -> Run:
            sides = f"--source {self._uris[0]} --target {self._uris[1]} --jobs {self._jobs}"
            options = f"{' '.join(more)} --state state --json"
            command = f"{sys.executable} -m naru verify {sides} {options}"
            wanted = f"|| test $? = {1 if differ else 0}"
            return self._timed(f"{command} >{self._pair.folder}/document {wanted}")

        return go

    @property
    def document(self) -> dict[str, object]:
        """What naru said last."""
        found: dict[str, object] = json.loads((self._pair.folder / "document").read_text())
        return found

    def sql(self, query: str) -> Callable[[], Run]:
        """The same query on both sides at once, tables in turn; answers must be the same."""
        psql = self._pair.programs.tool("psql")
        queries = [query.replace("TABLE", table) for table in ("wide", "narrow")]
        words = " ".join(f'-c "{one}"' for one in queries)
        script = " & ".join(
            f"{psql} -qAtX {words} -d {uri} >{self._pair.folder}/answer{number}"
            for number, uri in enumerate(self._uris)
        )
        check = f"cmp {self._pair.folder}/answer0 {self._pair.folder}/answer1"
        return lambda: self._timed(f"{script} & wait -n; wait -n; {check}")

    def reladiff(self) -> Callable[[], Run]:
        """All columns of both tables, by the key; it says nothing when they are the same."""
        place = self._pair.folder / "reladiff"
        run([sys.executable, "-m", "venv", place], seconds=120)
        run([place / "bin" / "pip", "install", "--quiet", *RELADIFF], seconds=300)
        said = f"{self._pair.folder}/said"
        script = "; ".join(
            f"{place}/bin/reladiff {self._uris[0]} {table} {self._uris[1]} {table}"
            f" -k id -c % --threads {self._jobs} >{said}; test ! -s {said}"
            for table in ("wide", "narrow")
        )
        return lambda: self._timed(script)

    def _timed(self, script: str) -> Run:
        workers = f"-c max_parallel_workers_per_gather={self._jobs - 1}"
        env = {
            "PGPASSFILE": str(self._secrets),
            "PGOPTIONS": f"{workers} -c jit=off -c extra_float_digits=3 -c timezone=UTC",
        }
        with tempfile.TemporaryDirectory(dir=self._pair.folder) as work:
            return timed(["bash", "-ec", script], env, Path(work), self._pair)


def fill(pair: Pair, part: float) -> None:
    """Make the same content on both sides."""
    pair.fresh_target(made=True)
    script = _CONTENT.replace("WIDE", str(round(2_000_000 * part)))
    script = script.replace("NARROW", str(round(5_000_000 * part)))
    with ThreadPoolExecutor(2) as both:
        list(both.map(lambda server: _execute(server, pair.database, script), (pair.old, pair.new)))


def _execute(server: LocalServer, database: str, script: str) -> None:
    with connect(server.dsn(database), purpose="bench") as connection:
        for statement in script.split(";\n"):
            connection.execute(statement.encode())


def differing(pair: Pair, contenders: Contenders, rounds: int, part: float) -> dict[str, list[Run]]:
    """Naru on the narrow table: equal, 10 rows different, then a tenth of all rows."""
    only = ("--table narrow", f"--max-differences {NAMED}")
    runs = in_turn({"equal": contenders.naru(*only)}, rounds)
    _execute(pair.new, pair.database, _TEN)
    _execute(pair.new, pair.database, "VACUUM ANALYZE narrow")
    runs |= in_turn({"10 differences": contenders.naru(*only, differ=True)}, rounds)
    _must_have_found(contenders.document, 10, 10)
    _execute(pair.new, pair.database, _MANY)
    _execute(pair.new, pair.database, "VACUUM ANALYZE narrow")
    many = round(500_000 * part)
    runs |= in_turn({f"{many:,} differences": contenders.naru(*only, differ=True)}, rounds)
    _must_have_found(contenders.document, many + 10, NAMED)
    return runs


def _must_have_found(document: dict[str, object], count: int, named: int) -> None:
    (table,) = document["tables"]  # type: ignore[misc]
    found = (table["differences_found"], len(table["differences"]))  # type: ignore[has-type]
    if found != (count, named):
        raise SystemExit(f"{count} rows differ and {named} are to be named, but it was {found}")


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--small", action="store_true", help="a tenth of the size")
    options.add_argument("--rounds", type=int, default=2)
    options.add_argument("--jobs", type=int, default=2)
    options.add_argument("--only", nargs="*", help="names of contenders")
    given = options.parse_args()
    part = 0.1 if given.small else 1.0
    size = f"{2 * part:g} million wide rows and {5 * part:g} million narrow"
    with servers() as pair:
        fill(pair, part)
        here = Contenders(pair, given.jobs)
        makers: dict[str, Callable[[], Callable[[], Run]]] = {
            "naru": here.naru,
            "reladiff": here.reladiff,
            "md5 of row text": lambda: here.sql(_MD5),
            "count(*)": lambda: here.sql("SELECT count(*) FROM TABLE"),
        }
        wanted = given.only or list(makers)
        equal = in_turn({name: makers[name]() for name in wanted}, given.rounds)
        publish("verify", f"Equal, {size}, {given.jobs} jobs", equal, wanted[0])
        runs = differing(pair, here, given.rounds, part)
        publish("verify differences", f"Narrow table, {given.jobs} jobs", runs, "equal")
    peak = max(one.memory for each in (equal.get("naru", []), *runs.values()) for one in each)
    print(f"peak memory of naru: {peak / 2**20:.0f} MB")
    verdicts = [
        *(judged(f"{who}: naru is faster", equal, who, "naru", at_least=3)
          for who in ("reladiff", "md5 of row text")),
        judged("equal tables, against count(*)", equal, "naru", "count(*)", at_most=10),
        judged("10 differences, against none", runs, "10 differences", "equal", at_most=1.5),
    ]  # fmt: skip
    return 0 if all(verdicts) else 1


def judged(
    what: str, runs: dict[str, list[Run]], who: str, than: str, *,
    at_least: float | None = None, at_most: float | None = None,
) -> bool:  # fmt: skip
    """Print how often `than` goes into `who` by clock and by CPU, and whether the limit holds.

    The limit is on the clock; on a busy machine the CPU of clients and servers tells more.
    """
    if who not in runs or than not in runs:
        return True
    clock, cpu = (
        statistics.median(map(size, runs[who])) / statistics.median(map(size, runs[than]))
        for size in (lambda run: run.seconds, lambda run: run.cpu + run.server_cpu)
    )
    limit = f"at least {at_least:g}" if at_least else f"at most {at_most:g}"
    holds = clock >= at_least if at_least else clock <= (at_most or 0)
    print(f"{what}: {clock:.2f} times by clock, {cpu:.2f} by CPU; {limit}:"
          f" {'holds' if holds else 'DOES NOT HOLD'}")  # fmt: skip
    return holds


if __name__ == "__main__":
    sys.exit(main())
