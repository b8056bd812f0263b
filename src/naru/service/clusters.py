"""Which clusters the service has: the one that clients reach, and one beside it in an upgrade.

A cluster of the next version runs on members of its own, on the same hosts' network and with
the same etcd. Which one is reached is state of the environment, in one file: what naru.toml
declares is the service, and stays the same.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from naru.ground import SECOND_NUMBER
from naru.spec import Spec
from naru.system import Account, write_atomically

FILE = "clusters.json"
SECOND = SECOND_NUMBER
"""The number of the first member of the second set: a set has at most five."""


@dataclass(frozen=True)
class Place:
    """One cluster: its name, its version, and the number that its members begin with."""

    name: str
    """Patroni's scope, and what its keys in etcd, its backups and its settings are called."""
    version: str
    """Its major version."""
    first_number: int = 1

    def of(self, spec: Spec, *, live: bool = True) -> Spec:
        """`spec` as it reads for this cluster; one that clients do not reach has no backups."""
        service = spec.service.model_copy(
            update={
                "cluster_name": self.name,
                "version": self.version,
                "first_number": self.first_number,
            }
        )
        backup = spec.backup if live else spec.backup.model_copy(update={"enabled": False})
        return spec.model_copy(update={"service": service, "backup": backup})


@dataclass(frozen=True)
class Clusters:
    """The clusters that exist: `live` has the clients, `beside` is the other of an upgrade."""

    live: Place
    beside: Place | None = None
    past: tuple[Place, ...] = ()
    """Clusters that were taken away, and whose backups may be kept; the oldest first."""

    @property
    def all(self) -> tuple[Place, ...]:
        """Those that exist, the first set of members first."""
        both = (self.live,) if self.beside is None else (self.live, self.beside)
        return tuple(sorted(both, key=lambda one: one.first_number))

    @property
    def versions(self) -> frozenset[str]:
        """Every major version that the service has, or had."""
        return frozenset(one.version for one in (*self.all, *self.past))


def next_place(live: Place, base: str, version: str) -> Place:
    """Where a cluster of `version` goes beside `live`: the other set of members.

    `base`: the cluster's name as naru.toml has it. The name carries the version, so that it
    was never used before.
    """
    return Place(f"{base}-{version}", version, SECOND if live.first_number == 1 else 1)


def read_clusters(folder: Path) -> Clusters | None:
    """What the environment in `folder` has; None before its first upgrade."""
    try:
        found: dict[str, Any] = json.loads((folder / FILE).read_text())
    except FileNotFoundError:
        return None
    beside = found["beside"]
    return Clusters(
        Place(**found["live"]),
        None if beside is None else Place(**beside),
        tuple(Place(**one) for one in found["past"]),
    )


def write_clusters(folder: Path, clusters: Clusters, account: Account) -> None:
    """Keep it; whole or not at all."""
    text = json.dumps(asdict(clusters), indent=2) + "\n"
    write_atomically(folder / FILE, text, owner=account)


def live_spec(spec: Spec, folder: Path) -> Spec:
    """`spec` as it reads for the cluster that clients reach now. Harmless when done twice.

    A version in naru.toml that the service never had stays, so that it is not passed over.
    """
    clusters = read_clusters(folder)
    if clusters is None:
        return spec
    wanted = spec.service.version
    if wanted.isdecimal() and wanted not in clusters.versions:
        return replace(clusters.live, version=wanted).of(spec)
    return clusters.live.of(spec)


def beside_spec(spec: Spec, folder: Path) -> Spec | None:
    """`spec` as it reads for the cluster beside; None outside of upgrades."""
    clusters = read_clusters(folder)
    if clusters is None or clusters.beside is None:
        return None
    return clusters.beside.of(spec, live=False)


def base_name(cluster: str) -> str:
    """The cluster's name as naru.toml has it: letters only, so that nothing is mistaken."""
    return cluster.partition("-")[0]
