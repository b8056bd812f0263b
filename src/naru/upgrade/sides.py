"""The two clusters of an upgrade, and the databases between them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Literal

from naru.errors import UsageError
from naru.ground import Ground
from naru.journal import Journal, Run
from naru.migrate import Owner, PooledDatabase, Record, SeenAt, begin_or_resume, sole
from naru.postgres import Dsn
from naru.service import Clusters, Place, Service, read_clusters, write_clusters
from naru.spec import Spec
from naru.traffic import Pool
from naru.upgrade.plan import UpgradePlan

KIND = "upgrade"
End = Literal["old", "new"]
"""Which of the two clusters."""


@dataclass(frozen=True)
class Sides:
    """What an upgrade works on: both clusters, the pool before them, its run in the journal."""

    declared: Spec
    """naru.toml as it is, not as it reads for one of the clusters."""
    ground: Ground
    pool: Pool
    run: Run

    @property
    def journal(self) -> Journal:
        return self.run.journal

    @property
    def databases(self) -> tuple[str, ...]:
        return tuple(self.run.recall("databases"))

    @property
    def version(self) -> str:
        """The version that it goes to."""
        return self.place("new").version

    def place(self, end: End) -> Place:
        return Place(**self.run.recall(end))

    @property
    def clusters(self) -> Clusters:
        """Which of them exist now, and which one has the clients."""
        return read_clusters(self.ground.folder) or Clusters(self.place("old"))

    @property
    def live(self) -> End:
        return "old" if self.clusters.live.name == self.place("old").name else "new"

    def keep(self, clusters: Clusters) -> None:
        write_clusters(self.ground.folder, clusters, self.ground.account)

    def spec(self, end: End) -> Spec:
        """The spec as it reads for one of them now."""
        return self.place(end).of(self.declared, live=end == self.live)

    def service(self, end: End) -> Service:
        return Service(self.spec(end), self.ground)

    def dsn(self, end: End, database: str) -> Dsn:
        """How the migration reaches a database: at the port that is that cluster's own."""
        return self.service(end).own_writer(database)

    # The databases

    def name_of(self, database: str) -> str:
        """What its migration is called."""
        return f"upgrade_{self.version}_{database}"

    def open_migration(self, database: str) -> Run | None:
        return self.journal.latest("migrate", self.name_of(database), open_only=True)

    def record(self, database: str) -> Record:
        """Its migration, begun if it was not."""
        return begin_or_resume(
            self.journal, self.name_of(database),
            self.dsn("old", database), self.dsn("new", database), SeenAt(),
            owner=Owner(f"the upgrade {self.run.name}", "naru service upgrade"),
        )  # fmt: skip

    @contextmanager
    def held(self) -> Iterator[None]:
        """Every migration in our hands alone."""
        with ExitStack() as stack:
            for database in self.databases:
                stack.enter_context(sole(self.ground.folder, self.name_of(database)))
            yield

    def pooled(self, database: str) -> tuple[PooledDatabase, ...]:
        """How clients of the pool ask for it; each with a console of its own."""
        found = []
        for entry in self.run.recall("pooled"):
            pooler = self.pool.pooler
            if pooler.observe(entry).dbname == database:
                found.append(PooledDatabase(pooler, entry))
        return tuple(found)

    @cached_property
    def service_address(self) -> tuple[str, int]:
        return self.service("old").address

    def own_address(self, end: End) -> tuple[str, int]:
        return self.service(end).own_address

    def point_pool(
        self, wanted: tuple[str, int], *, only_from: tuple[tuple[str, int], ...]
    ) -> None:
        """Send the pool's databases that lead to one of `only_from` to `wanted`.

        Both are the same cluster, so that nobody need wait: a server connection is replaced
        when its transaction has ended.
        """
        for entry in self.run.recall("pooled"):
            pooler = self.pool.pooler
            facts = pooler.observe(entry)
            if (facts.host, facts.port) in only_from:
                pooler.point(entry, *wanted)


def begin(journal: Journal, plan: UpgradePlan) -> Run:
    """A new upgrade in the journal. Raises UsageError while another one is under way."""
    run = open_upgrade(journal)
    if run is not None:
        raise UsageError(
            f"an upgrade is under way: {run.name}",
            remedy="`naru service upgrade` shows it; --finish or --abort ends it",
        )
    run = journal.begin(KIND, f"{plan.old.version} to {plan.new.version}")
    run.remember("databases", list(plan.databases))
    run.remember("pooled", list(plan.pooled))
    run.remember("old", asdict(plan.old))
    run.remember("new", asdict(plan.new))
    return run


def open_upgrade(journal: Journal) -> Run | None:
    """The upgrade that is under way; None when there is none."""
    return journal.latest(KIND, open_only=True)


def version_of(run: Run) -> int:
    """The major version that an upgrade goes to."""
    return int(re.findall(r"\d+", run.name)[-1])
