"""What was kept of clusters that the service has left by a major upgrade: still to be restored.

Each cluster has a store of its own. One that has no clients any more grows no more, and what is
in it comes back beside the service, with the programs of its own version.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from naru.backup.beside import Beside
from naru.backup.catalogue import Backup
from naru.backup.manager import Backups, folder_size
from naru.backup.plan import Limits
from naru.errors import MissingToolError, NaruError, UsageError
from naru.ground import Ground
from naru.service import Clusters, Place, Service, read_clusters
from naru.spec import Spec


@dataclass(frozen=True)
class Earlier:
    """The backups of one such cluster."""

    place: Place
    backups: Backups
    beside: Beside

    @property
    def name(self) -> str:
        """The cluster's, by which it is chosen."""
        return self.place.name

    def catalogue(self) -> tuple[Backup, ...]:
        return self.backups.catalogue()

    def limits(self) -> Limits:
        """What can be restored. Raises MissingToolError without the version's programs, and
        RefusedError when nothing can."""
        self._must_be_readable()
        return self.backups.limits()

    @property
    def size(self) -> int:
        """Bytes on the disk, with the WAL."""
        return folder_size(self.backups.store.home)

    def prepare(self) -> None:
        """Have what a restore from here reads as it must be. Raises MissingToolError without the
        version's programs."""
        self._must_be_readable()
        self.backups.keeping.prepare_to_read()

    def _must_be_readable(self) -> None:
        try:
            _ = self.backups.installation
        except MissingToolError as error:
            raise MissingToolError(
                f"what was kept of cluster {self.name} can be read by the programs of PostgreSQL"
                f" {self.place.version} alone: {error.message}",
                remedy=f"apt-get install postgresql-{self.place.version}, or name their bin folder"
                " in ground.postgres of naru.toml",
            ) from error

    def forget(self) -> None:
        """Delete all that was kept: backups and WAL."""
        store = self.backups.store
        shutil.rmtree(store.home, ignore_errors=True)
        for path in (store.config, store.fetch):
            path.unlink(missing_ok=True)

    def to_json(self) -> dict[str, Any]:
        """One entry of `earlier` in `naru service backups --json`."""
        limits, trouble = None, None
        try:
            limits = self.limits().to_json()
        except NaruError as error:
            trouble = str(error)
        return {
            "cluster": self.name,
            "version": self.place.version,
            "bytes": self.size,
            "backups": [one.to_json() for one in self.catalogue()],
            "limits": limits,
            "trouble": trouble,
        }


def earlier_backups(declared: Spec, ground: Ground) -> tuple[Earlier, ...]:
    """Those of every cluster but the service's of which something was kept, the oldest first."""
    clusters = read_clusters(ground.folder)
    if clusters is None:
        return ()
    found = (_open(place, declared, ground) for place in _places(clusters))
    return tuple(one for one in found if one.backups.store.base.is_dir())


def earlier_of(declared: Spec, ground: Ground, cluster: str) -> Earlier:
    """Those of `cluster`. Raises UsageError, naming the clusters there are."""
    found = {one.name: one for one in earlier_backups(declared, ground)}
    if cluster not in found:
        raise UsageError(
            f"nothing was kept of a cluster {cluster!r} that the service has left",
            remedy=f"there are: {', '.join(found) or 'none'}",
        )
    return found[cluster]


def _places(clusters: Clusters) -> Iterator[Place]:
    yield from clusters.past
    if clusters.beside is not None:
        yield clusters.beside


def _open(place: Place, declared: Spec, ground: Ground) -> Earlier:
    spec = place.of(declared, live=False)
    service = Service(spec, ground)
    backups = Backups(spec, ground, service, growing=False)
    return Earlier(place, backups, Beside(spec, ground, service, backups))
