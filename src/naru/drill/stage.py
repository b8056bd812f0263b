"""What a drill plays on, and the workload that it measures by."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from naru.drill.business import LEDGER_ALONE, Business
from naru.drill.cures import cures_on
from naru.drill.keep import keep_series
from naru.drill.leads import LeadWatch
from naru.drill.ledger import clean, prepare
from naru.drill.reads import READS, WRITES
from naru.drill.settings import WorkloadSettings
from naru.drill.strike import Scene
from naru.drill.workload import Workload
from naru.drill.wounds import Wounds
from naru.errors import RefusedError
from naru.ground import Ground
from naru.journal import Run
from naru.service import Service
from naru.spec import Spec
from naru.system import SILENT, Observer, private_folder
from naru.traffic import Pool


@dataclass(frozen=True)
class Stage:
    """The environment that a drill plays on."""

    spec: Spec
    ground: Ground
    service: Service
    pool: Pool
    run: Run | None = None
    observer: Observer = SILENT
    clients: int = 8
    rate: float = 250.0

    @property
    def wounds(self) -> Wounds:
        """What drills have done to this environment and not undone yet."""
        return Wounds(self.ground.folder, cures_on(self))

    def scene(self, workload: Workload, leads: LeadWatch | None = None) -> Scene:
        """What a fault is measured on."""
        database = self.pool.pooler.observe(workload.settings.dsn.database).dbname
        owner = self.service.writer(database)
        return Scene(self.service, workload, owner, self.run, self.observer, leads)

    def lead_watch(self) -> LeadWatch:
        """Watches who leads, while its block lasts."""
        names = [node.name for node in self.service.layout.nodes]
        return LeadWatch({name: self.service.member(name, "postgres") for name in names})


@contextmanager
def workload_on(stage: Stage, name: str, business: Business = LEDGER_ALONE) -> Iterator[Workload]:
    """The ledger, alone or with `business`, through the pool, to the service's own database, as
    its user.

    The ledger is taken away afterwards if it was made here, and every row accounted for.
    """
    service = stage.spec.service
    stage.pool.up()
    stage.pool.sync_users(stage.service.writer("postgres"))
    stage.pool.remember(service.user, stage.service.password)
    database = _dbname_at_the_service(stage)
    owner = stage.service.writer(database)
    made = prepare(owner, service.user)
    workload = Workload.start(
        _folder(stage.ground.folder, name),
        WorkloadSettings(
            stage.pool.dsn(service.user, service.database),
            run=f"{name} {time.time():.0f}",
            clients=stage.clients,
            rate=stage.rate,
            business=business,
            readers={
                WRITES: owner.with_(user=service.user),
                READS: stage.service.reader(database).with_(user=service.user),
            },
        ),
    )
    try:
        yield workload
    finally:
        workload.stop()
        if stage.run is not None:
            keep_series(stage.run, workload.folder)
    if made and workload.judge(owner).kept:
        clean(owner)


def _dbname_at_the_service(stage: Stage) -> str:
    """The database behind the pool's entry. Raises RefusedError if that is not the service."""
    service = stage.spec.service
    facts = stage.pool.pooler.observe(service.database)
    wanted = (stage.ground.address(service.host), service.port)
    if (facts.host, facts.port) != wanted:
        raise RefusedError(
            f"the pool's database {service.database} points at {facts.where}, not at the service",
            remedy="drill what the service serves; see `naru service status`",
        )
    return facts.dbname


def _folder(state: Path, name: str) -> Path:
    parent = private_folder(state / "drills")
    return parent / f"{time.strftime('%Y%m%d-%H%M%S')}-{name}"
