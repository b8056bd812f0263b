"""Which two databases, and which poolers: named on the command line, or the environment's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from naru.cli.options import spec_of
from naru.errors import UsageError

if TYPE_CHECKING:
    from naru.journal import Journal
    from naru.migrate import KeepsSlot, PooledDatabase, Record
    from naru.postgres import Dsn

SourceOption = Annotated[
    str | None,
    typer.Option("--source", metavar="URI", help="The database to leave; by default the lab's."),
]
TargetOption = Annotated[
    str | None,
    typer.Option("--target", metavar="URI", help="The database to go to; by default the lab's."),
]
NameOption = Annotated[
    str | None,
    typer.Option("--name", help="The migration's name; by default the source database's."),
]
AllOption = Annotated[
    bool,
    typer.Option("--all-databases", help="Every migration under way between the two servers."),
]
PoolerOption = Annotated[
    list[str] | None,
    typer.Option(
        "--pooler", metavar="URI",
        help="Admin console of a PgBouncer, such as postgresql://admin@host:6432/pgbouncer;"
        " repeat for each.",
    ),
]  # fmt: skip
PoolerConfigOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--pooler-config", metavar="FILE", help="Its pgbouncer.ini; one for each --pooler."
    ),
]
PoolerDatabaseOption = Annotated[
    str | None,
    typer.Option("--pooler-database", help="The name clients ask it for; by default the source's."),
]


@dataclass(frozen=True)
class Parties:
    """Two databases and where their migration is kept. Either may be missing: as at its start."""

    source: Dsn | None
    target: Dsn | None
    folder: Path
    environment: bool
    """True if they are the environment's own, as naru.toml declares it."""
    spec_file: Path | None


def parties(source: str | None, target: str | None, spec: Path | None) -> Parties:
    """The databases that the options name, else the environment's if it has been brought up.

    Raises UsageError if only one of the two is named.
    """
    from naru.ground import state_folder
    from naru.postgres import Dsn

    if (source is None) != (target is None):
        missing = "--target" if target is None else "--source"
        raise UsageError(f"{missing} is missing", remedy="name both databases, or neither")
    wanted, file = spec_of(spec)
    folder = state_folder(file)
    if source is not None and target is not None:
        return Parties(Dsn.parse(source), Dsn.parse(target), folder, False, file)
    if not _is_up(folder):
        return Parties(None, None, folder, False, file)
    from naru.ground import open_ground
    from naru.service import Service, Standalone

    ground = open_ground(wanted, folder)
    database = wanted.source.database
    return Parties(
        Standalone(wanted, ground).dsn(database),
        Service(wanted, ground).writer(database),
        folder, True, file,
    )  # fmt: skip


def _is_up(folder: Path) -> bool:
    """True if an environment was brought up in `folder` (its servers have their passwords)."""
    return (folder / "secrets").is_dir()


def both(found: Parties) -> tuple[Dsn, Dsn]:
    """Source and target. Raises UsageError if they are neither named nor the environment's."""
    if found.source is None or found.target is None:
        raise UsageError(
            "which databases? no environment is up here",
            remedy="give --source URI and --target URI, or bring up the lab: naru up",
        )
    return found.source, found.target


@contextmanager
def journal_of(found: Parties, *, begins: bool = False) -> Iterator[Journal]:
    """The journal in the folder of state. Raises UsageError if none is there and none `begins`."""
    from naru.journal import FILE, Journal

    if not begins and not (found.folder / FILE).exists():
        raise UsageError(
            f"no migration is under way in {found.folder}", remedy="begin: naru migrate start"
        )
    with Journal.in_folder(found.folder) as journal:
        yield journal


def poolers_of(
    found: Parties, uris: list[str] | None, configs: list[Path] | None, database: str
) -> tuple[PooledDatabase, ...]:
    """The poolers that the options name, else the environment's own.

    Raises UsageError when consoles and configuration files do not pair up.
    """
    from naru.migrate import PooledDatabase
    from naru.postgres import Dsn
    from naru.traffic import PgBouncer, Pool

    if uris or configs:
        if len(uris or []) != len(configs or []):
            raise UsageError("every --pooler needs its --pooler-config, in the same order")
        pairs = zip(uris or [], configs or [], strict=True)
        return tuple(
            PooledDatabase(PgBouncer(Dsn.parse(uri), config), database) for uri, config in pairs
        )
    if not found.environment:
        return ()
    from naru.ground import open_ground

    wanted, _ = spec_of(found.spec_file)
    pool = Pool(wanted, open_ground(wanted, found.folder))
    return (PooledDatabase(pool.pooler, database),)


def keeps_slot_of(found: Parties) -> KeepsSlot | None:
    """Who can say whether the target's standbys have a slot: the environment's own service."""
    if not found.environment:
        return None
    from naru.ground import open_ground
    from naru.service import Service

    wanted, _ = spec_of(found.spec_file)
    return Service(wanted, open_ground(wanted, found.folder)).keep_slot


def open_record(
    found: Parties, journal: Journal, name: str | None, *, to_look: bool = False
) -> Record:
    """The migration that is under way, by its name or its databases; `to_look`: also one that a
    major upgrade runs."""
    from naru.migrate import SeenAt, resume

    return resume(journal, name, found.source, found.target, SeenAt(), to_look=to_look)


def open_records(
    found: Parties, journal: Journal, name: str | None, *, every: bool, to_look: bool = False
) -> tuple[Record, ...]:
    """The migration that is meant, as `open_record` says, or with `every` all of them.

    Raises UsageError when both are asked for.
    """
    from naru.migrate import open_records as all_open

    if not every:
        return (open_record(found, journal, name, to_look=to_look),)
    if name is not None:
        raise UsageError("--name is one migration, --all-databases is all: not both")
    return all_open(journal, found.source, found.target)


def hold(record: Record) -> AbstractContextManager[None]:
    """Hold a migration for this process alone, while the block runs."""
    from naru.migrate import sole

    return sole(record.run.journal.path.parent, record.names.migration)
