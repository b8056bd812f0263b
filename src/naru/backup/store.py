"""Where backups are kept, and what Barman is told of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from naru.ground import Ground
from naru.postgres import Installation
from naru.service import BACKUP_SLOT, BACKUP_USER, base_name
from naru.spec import Spec


@dataclass(frozen=True)
class Store:
    """The backup host's folders and files."""

    server: str
    """What Barman calls the service: the cluster's name."""
    home: Path
    config: Path
    fetch: Path
    """The script that gives recovery its WAL from here."""
    logs: Path
    state: Path
    """Notes of ours: what was done by schedule, what the receiver met, restore points."""

    @property
    def base(self) -> Path:
        """The base backups, a folder each."""
        return self.home / self.server / "base"

    @property
    def wals(self) -> Path:
        """The archive: whole WAL segments, in a folder for each 256 of them."""
        return self.home / self.server / "wals"

    @property
    def streaming(self) -> Path:
        """Where WAL arrives; the segment being written is `….partial`."""
        return self.home / self.server / "streaming"

    @property
    def ended(self) -> Path:
        """The last, unfinished segments of timelines that the service has left."""
        return self.home / "ended"

    @property
    def wal_folders(self) -> tuple[Path, ...]:
        """Where WAL lies; in the order in which it moves, so that none is overlooked meanwhile."""
        return (self.streaming, self.ended, self.wals)

    @property
    def staging(self) -> Path:
        return self.home / "staging"

    @property
    def locks(self) -> Path:
        return self.home / "locks"


def store_of(spec: Spec, ground: Ground) -> Store:
    """The store of the environment's service."""
    folder, cluster = ground.folder, spec.service.cluster_name
    # A cluster that a major upgrade made has another name: what was kept before it stays apart.
    suffix = cluster.removeprefix(base_name(cluster))
    home = folder / "data" / f"backup{suffix}"
    return Store(
        server=cluster,
        home=home,
        config=folder / "conf" / f"barman{suffix}.conf",
        fetch=folder / "conf" / f"fetch-wal{suffix}.sh",
        logs=folder / "logs",
        state=home / "naru",
    )


def render_barman(
    store: Store,
    *,
    account: str,
    address: tuple[str, int],
    installation: Installation,
    passfile: Path,
    authority: Path,
    retention_days: int,
) -> str:
    """Barman's configuration: no SSH, everything over the service's endpoint for writes.

    So backups and WAL come from whoever is primary, without a word to Barman.
    """
    host, port = address
    reach = (
        f"host={host} port={port} user={BACKUP_USER} passfile={passfile} connect_timeout=5"
        f" sslmode=verify-full sslrootcert={authority}"
    )
    return f"""; Written by naru at every start.
[barman]
barman_user = {account}
barman_home = {store.home}
barman_lock_directory = {store.locks}
log_file = {store.logs / "barman.log"}
log_level = INFO

[{store.server}]
description = the service {store.server}
conninfo = {reach} dbname=postgres
streaming_conninfo = {reach}
backup_method = postgres
streaming_archiver = on
archiver = off
slot_name = {BACKUP_SLOT}
create_slot = manual
path_prefix = {installation.bin}
immediate_checkpoint = true
retention_policy = RECOVERY WINDOW OF {retention_days} DAYS
wal_retention_policy = main
staging_path = {store.staging}
staging_location = local
"""
