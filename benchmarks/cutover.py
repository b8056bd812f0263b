"""The pause that clients see when writes switch sides, forth and back, under load.

Brings up the lab's environment on a network of its own (old server, service of three
members, pool), follows, and switches as often as asked while clients go on writing
through the pool. The pause is the longest time between two acknowledged commits of all
clients together, around each switch. There is no peer that does the same; the yardstick
is the time that naru itself held the clients.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from naru.drill import Workload, WorkloadSettings, prepare
from naru.ground import state_folder
from naru.journal import Journal
from naru.lab import Environment, fill
from naru.lab.content import APPLICATION
from naru.lab.creativity import business
from naru.migrate import (
    Bounds,
    Limits,
    PooledDatabase,
    Record,
    SeenAt,
    Start,
    Switcher,
    begin_or_resume,
    catch_up,
)
from naru.postgres import connect
from naru.spec import Spec

AROUND_SECONDS = 2.0


def switch(record: Record, environment: Environment, workload: Workload) -> dict[str, Any]:
    """One switch to the other side, with what clients saw of it."""
    database = record.source.dsn.database
    pooled = PooledDatabase(environment.pool.pooler, database)
    crossing = Switcher(record, (pooled,), Limits()).cross(verify=False)
    time.sleep(AROUND_SECONDS + 0.5)
    began = record.run.events("cutover.pause")[-1].at
    ended = record.run.events("cutover.resume")[-1].at
    gap = workload.longest_gap(began - AROUND_SECONDS, ended + AROUND_SECONDS)
    found = {
        "to": crossing.at,
        "pause_ms": round(gap.ms, 1) if gap else None,
        "held_ms": crossing.pause_ms,
        "errors": workload.errors_within(began - AROUND_SECONDS, time.time()),
        "steps_ms": crossing.milliseconds,
    }
    catch_up(record)
    return found


def measure(environment: Environment, folder: Path, switches: int, rate: float) -> dict[str, Any]:
    """Bring it up, follow, switch again and again, and account for every transaction."""
    environment.up()
    fill(environment)
    database = environment.spec.source.database
    source, target = environment.source.dsn(database), environment.service.writer(database)
    prepare(source, APPLICATION)
    with connect(source, purpose="business") as connection:
        changes = business(connection)
    settings = WorkloadSettings(
        environment.pool.dsn(APPLICATION, database), "bench", rate=rate, business=changes
    )
    workload = Workload.start(folder / "workload", settings)
    runs: list[dict[str, Any]] = []
    try:
        with Journal.in_folder(folder) as journal:
            record = begin_or_resume(journal, database, source, target, SeenAt())
            Start(record, Bounds()).perform()
            for _ in range(switches):
                runs.append(switch(record, environment, workload))
                print(json.dumps(runs[-1]), file=sys.stderr, flush=True)
            live = record.live.dsn
    finally:
        workload.stop()
    ledger = workload.judge(live)
    pauses = [run["pause_ms"] for run in runs if run["pause_ms"] is not None]
    held = [run["held_ms"] for run in runs]
    return {
        "switches": len(runs),
        "rate": rate,
        "pause_ms": {"median": statistics.median(pauses), "worst": max(pauses)},
        "held_ms": {"median": statistics.median(held), "worst": max(held)},
        "pause_to_held": round(statistics.median(pauses) / statistics.median(held), 2),
        "errors": sum(run["errors"] for run in runs),
        "acknowledged": ledger.acknowledged,
        "lost": ledger.lost,
        "duplicated": ledger.duplicated,
    }


def main() -> None:
    """Run it, print JSON, leave nothing behind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--switches", type=int, default=10)
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--scale", type=float, default=0.5)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="naru-bench-") as place:
        folder = state_folder(Path(place) / "naru.toml")
        spec = Spec().model_copy(
            update={"source": Spec().source.model_copy(update={"scale": wanted.scale})}
        )
        environment = Environment(spec, folder)
        try:
            found = measure(environment, folder, wanted.switches, wanted.rate)
        finally:
            environment.down(purge=True)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
