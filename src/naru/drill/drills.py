"""A drill as data: the fault, its promise, what it needs, and how it is run."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from naru.drill.mend import heal_leftovers
from naru.drill.needs import Need
from naru.drill.stage import Stage, workload_on
from naru.drill.strike import Struck, measure
from naru.drill.verdict import DrillVerdict, Promise
from naru.drill.workload import Workload
from naru.errors import RefusedError
from naru.service import Member

Strike = Callable[[Stage, Member], Struck]
StrikeWith = Callable[[Stage, Member, Workload], Struck]
"""One that looks at what clients are told while the fault is at work."""

Run = Callable[[str, Promise, Stage], DrillVerdict]


@dataclass(frozen=True)
class Drill:
    """A fault, what is promised under it, and how it is run."""

    name: str
    fault: str
    promised: Promise
    act: Run
    numbers: tuple[int, ...] = ()
    """Which faults of the list of thirty-two it covers; none for planned work."""
    seconds: int = 30
    """About how long it takes, with everything around it."""
    needs: tuple[Need, ...] = ()

    @property
    def promise(self) -> str:
        """What is promised, in words."""
        return str(self.promised)

    def missing(self, stage: Stage) -> str | None:
        """What it needs and does not find here, in words; None when it can be run."""
        return ", ".join(need.words for need in self.needs if not need.met(stage)) or None

    def run(self, stage: Stage) -> DrillVerdict:
        """Heal what an earlier one left behind, strike, measure, heal.

        Raises RefusedError when something that it needs is not there, or when the service is
        not whole to begin with.
        """
        if missing := self.missing(stage):
            raise RefusedError(f"drill {self.name} needs {missing}", remedy="see `naru drill list`")
        began = time.monotonic()
        heal_leftovers(stage)
        try:
            verdict = self.act(self.name, self.promised, stage)
        finally:
            stage.wounds.heal()
        return replace(verdict, took_seconds=round(time.monotonic() - began, 1))

    def to_json(self) -> dict[str, Any]:
        """The stable document of `naru drill list --json`."""
        return {
            "name": self.name,
            "numbers": list(self.numbers),
            "fault": self.fault,
            "promise": self.promise,
            "seconds": self.seconds,
            "needs": [need.words for need in self.needs],
        }


def struck_by(strike: Strike, *, kind: str = "drill.fault") -> Run:
    """A run around `strike`: the ledger's workload, who leads, the verdict."""
    return struck_with(lambda stage, primary, _: strike(stage, primary), kind=kind)


def struck_with(strike: StrikeWith, *, kind: str = "drill.fault") -> Run:
    """The same for a strike that looks at the workload."""

    def run(name: str, promise: Promise, stage: Stage) -> DrillVerdict:
        with workload_on(stage, name) as workload, stage.lead_watch() as leads:
            scene = stage.scene(workload, leads)
            return measure(
                name, promise, scene, lambda one: strike(stage, one, workload), kind=kind
            )

    return run
