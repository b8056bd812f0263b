"""The drills there are: the fault, the promise, and how it is struck."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from naru.drill import accident, consumer, crash, election, nodes, planned
from naru.drill.stage import Stage, workload_on
from naru.drill.strike import Struck, measure
from naru.drill.verdict import DrillVerdict, Promise
from naru.errors import UsageError
from naru.service import Member

Strike = Callable[[Stage, Member], Struck]


@dataclass(frozen=True)
class Drill:
    """A fault, what is promised under it, and how it is run."""

    name: str
    fault: str
    promise: str
    run: Callable[[Stage], DrillVerdict]


def _drill(name: str, fault: str, promise: Promise, strike: Strike) -> Drill:
    def run(stage: Stage) -> DrillVerdict:
        kind = "drill.kill" if name == crash.NAME else "drill.fault"
        with workload_on(stage, name) as workload:
            scene = stage.scene(workload)
            return measure(name, promise, scene, lambda one: strike(stage, one), kind=kind)

    return Drill(name, fault, str(promise), run)


def _special(
    name: str, fault: str, promise: Promise, run: Callable[[str, Promise, Stage], DrillVerdict]
) -> Drill:
    return Drill(name, fault, str(promise), lambda stage: run(name, promise, stage))


_ALL = (
    _drill(
        crash.NAME,
        "kill -9 of the primary's postmaster",
        crash.PROMISE,
        crash.strike_primary,
    ),
    _drill(
        "kill-backend",
        "kill -9 of one backend of the primary",
        Promise(seconds=5.0),
        crash.strike_backend,
    ),
    _drill(
        "kill-standby",
        "kill -9 of the postmaster of a synchronous standby",
        Promise(errors=0, stall=2.0, failover=False),
        crash.strike_standby,
    ),
    _drill(
        "kill-patroni",
        "kill -9 of the primary's Patroni, started again by the supervisor",
        Promise(seconds=5.0, failover=False),
        nodes.strike_patroni,
    ),
    _drill(
        "lose-node",
        "kill -9 of Patroni and PostgreSQL of the primary together, away until another leads",
        Promise(seconds=25.0, failover=True, returned=60.0),
        nodes.strike_node,
    ),
    _drill(
        "freeze-primary",
        "SIGSTOP of all PostgreSQL processes of the primary until another leads",
        Promise(seconds=30.0, failover=True, returned=60.0),
        nodes.freeze_primary,
    ),
    _drill(
        "switchover",
        "a planned switchover",
        Promise(errors=0, stall=2.5, failover=True),
        planned.switch,
    ),
    _drill(
        "restart",
        "a restart of every member, one by one",
        Promise(errors=0, stall=2.5, failover=True),
        planned.restart_all,
    ),
    _drill(
        "die-in-switchover",
        "kill -9 of naru in the middle of a switchover",
        Promise(errors=0, stall=5.0),
        planned.die_in_a_switchover,
    ),
    _special(
        "logical-consumer",
        "kill -9 of the primary's postmaster while a logical consumer follows",
        Promise(seconds=5.0, failover=True),
        consumer.run,
    ),
    _special(
        "logical-switchover",
        "a planned switchover while a logical consumer follows",
        Promise(errors=0, stall=2.5, failover=True),
        consumer.run_switched,
    ),
    _special(
        "accident",
        "rows deleted by mistake under load; found in the WAL, restored beside, brought back",
        Promise(errors=0, stall=2.0, failover=False),
        accident.run,
    ),
    # Last: for some seconds afterwards Patroni's view of the election may be an old one.
    _drill(
        "freeze-etcd",
        "SIGSTOP of etcd for 18 s",
        Promise(errors=0, stall=1.0, failover=False),
        election.freeze_etcd,
    ),
)

DRILLS: Mapping[str, Drill] = {drill.name: drill for drill in _ALL}


def find_drill(name: str) -> Drill:
    """The drill called `name`. Raises UsageError, naming those there are."""
    if name not in DRILLS:
        raise UsageError(f"there is no drill {name!r}", remedy=f"there are: {', '.join(DRILLS)}")
    return DRILLS[name]
