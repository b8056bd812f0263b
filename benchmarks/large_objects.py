"""Ten thousand large objects with owners: naru against pg_dump | pg_restore."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace

from _kit import Naru, Pair, Run, in_turn, publish, servers, shell

from naru.postgres import connect

_OBJECTS = """
SELECT lo_from_bytea(0, decode(repeat(md5(n::text), 20 + n %% 200), 'hex'))
FROM generate_series(1, %s) n
"""


def fill(pair: Pair, objects: int) -> None:
    """Make objects of about 2 kB, some of two pages, of which a third is another role's."""
    with connect(pair.source, purpose="bench") as connection:
        connection.execute("CREATE ROLE clerk")
        connection.execute(_OBJECTS, [objects])
        connection.execute(
            "DO $$DECLARE o oid; BEGIN FOR o IN SELECT oid FROM pg_largeobject_metadata"
            " WHERE oid::int8 % 3 = 0 LOOP"
            " EXECUTE format('ALTER LARGE OBJECT %s OWNER TO clerk', o); END LOOP; END$$"
        )
        connection.execute("VACUUM ANALYZE")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--small", action="store_true", help="a tenth of the objects")
    options.add_argument("--rounds", type=int, default=3)
    given = options.parse_args()
    objects = 1_000 if given.small else 10_000
    with servers() as pair:
        fill(pair, objects)
        naru = Naru(pair, 2)

        def step() -> Run:
            run = naru()
            return replace(run, seconds=run.steps["large objects"])

        contenders: dict[str, Callable[[], Run]] = {
            "naru, its step alone": step,
            "naru": naru,
            "pg_dump | pg_restore": shell(
                pair, "$BIN/pg_dump -Fc -d $SOURCE | $BIN/pg_restore -O -x -d $TARGET"
            ),
        }
        runs = in_turn(contenders, given.rounds)
        publish("large_objects", f"{objects} large objects", runs)


if __name__ == "__main__":
    main()
