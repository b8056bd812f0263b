"""A whole clone of 1.2 GB: naru against pgcopydb, pg_dump with pg_restore, and a plain pipe.

pgbench's tables at scale 50 (5 million rows) and a wide table of 2 million rows with four
indexes, from the oldest PostgreSQL here to the newest, each time into a fresh database.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

from _kit import Naru, Pair, Run, in_turn, installed, publish, servers, shell

from naru.postgres import connect
from naru.system import run

_WIDE = """
CREATE TABLE wide (
    id bigint PRIMARY KEY, account int NOT NULL, state text NOT NULL, email text NOT NULL,
    amount numeric(12, 2), made timestamptz NOT NULL, token uuid NOT NULL, note text, tags jsonb);
INSERT INTO wide
SELECT n, (n % 100003 * 7919) % 100003, (ARRAY['new', 'paid', 'sent', 'done'])[1 + n % 4],
       md5(n::text) || '@example.com', (n % 1000000) / 100.0,
       timestamptz '2024-01-01' + (n % 4000000 * 7) % 31536000 * interval '1 second',
       md5('t' || n)::uuid, repeat(md5('n' || n), 2), jsonb_build_object('a', n % 17, 'b', n)
FROM generate_series(1, ROWS) n;
CREATE INDEX wide_account ON wide (account, made);
CREATE INDEX wide_email ON wide (email);
CREATE UNIQUE INDEX wide_token ON wide (token);
"""


def fill(pair: Pair, part: float) -> None:
    """Make the content, at `part` of its full size."""
    scale = max(1, round(50 * part))
    pgbench = pair.old.installation.tool("pgbench")
    run(
        [pgbench, "--initialize", "--quiet", "--scale", str(scale), "--init-steps=dtGvp"],
        seconds=600, env=pair.source.environment(),
    )  # fmt: skip
    with connect(pair.source, purpose="bench") as connection:
        for statement in _WIDE.replace("ROWS", str(round(2_000_000 * part))).split(";\n"):
            if statement.strip():
                connection.execute(statement.encode())
        connection.execute("VACUUM ANALYZE")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--small", action="store_true", help="a tenth of the size")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--jobs", type=int, default=2)
    options.add_argument("--only", nargs="*", help="names of contenders")
    given = options.parse_args()
    with servers() as pair:
        fill(pair, 0.1 if given.small else 1.0)
        jobs = given.jobs
        contenders: dict[str, Callable[[], Run]] = {
            "naru": Naru(pair, jobs),
            "pgcopydb": shell(
                pair,
                f"pgcopydb clone --table-jobs {jobs} --index-jobs {jobs} --dir $WORK/p"
                " --split-tables-larger-than 128MB --no-owner --no-acl",
            ),
            f"pg_dump -Fd -j{jobs}": shell(
                pair,
                f"$BIN/pg_dump -Fd -j{jobs} -f $WORK/d -d $SOURCE"
                f" && $BIN/pg_restore -j{jobs} -d $TARGET $WORK/d",
            ),
            f"pg_dump -Fd -j{jobs} -Z none": shell(
                pair,
                f"$BIN/pg_dump -Fd -j{jobs} --compress=none -f $WORK/d -d $SOURCE"
                f" && $BIN/pg_restore -j{jobs} -d $TARGET $WORK/d",
            ),
            "pg_dump | psql": shell(
                pair, "$BIN/pg_dump -d $SOURCE | $BIN/psql -qX -v ON_ERROR_STOP=1 -d $TARGET"
            ),
        }
        if not installed("pgcopydb", "pgcopydb"):
            del contenders["pgcopydb"]
        if given.only:
            contenders = {name: contenders[name] for name in given.only}
        size = "0.12 GB" if given.small else "1.2 GB"
        runs = in_turn(contenders, given.rounds, warm_up=True)
        publish("clone", f"Clone of {size}, {jobs} jobs", runs, next(iter(runs)))


if __name__ == "__main__":
    main()
