"""Ten thousand tables, twenty thousand indexes, few rows: naru and pg_dump | pg_restore."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace

from _kit import Naru, Pair, Run, in_turn, publish, servers, shell

from naru.postgres import connect

_TABLES = """
DO $$BEGIN
FOR n IN {first}..{last} LOOP
    EXECUTE format('CREATE TABLE tenant_%1$s (id int PRIMARY KEY, name text NOT NULL,
        made timestamptz DEFAULT now()); CREATE INDEX ON tenant_%1$s (name);
        INSERT INTO tenant_%1$s SELECT n, ''name '' || n FROM generate_series(1, 5) n', n);
END LOOP; END$$
"""


def fill(pair: Pair, tables: int, first: int = 1) -> None:
    """Make the tables from number `first` up to `tables`, some hundred in a transaction."""
    with connect(pair.source, purpose="bench") as connection:
        for begin in range(first, tables + 1, 500):
            last = min(tables, begin + 499)
            connection.execute(_TABLES.format(first=begin, last=last).encode())
        connection.execute("VACUUM")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--small", action="store_true", help="a tenth of the tables")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--jobs", type=int, default=2)
    given = options.parse_args()
    tables = 1_000 if given.small else 10_000
    with servers() as made:
        pair = replace(made, puts_aside=True)
        fill(pair, tables)
        contenders: dict[str, Callable[[], Run]] = {
            "naru": Naru(pair, given.jobs),
            "pg_dump | pg_restore": shell(
                pair, "$BIN/pg_dump -Fc -d $SOURCE | $BIN/pg_restore -d $TARGET"
            ),
        }
        runs = in_turn(contenders, given.rounds, warm_up=True)
        publish("many_tables", f"{tables} tables with {2 * tables} indexes", runs)


if __name__ == "__main__":
    main()
