"""Dump: databases of one server into a folder, each at one snapshot, proven by its manifest."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from naru import __version__
from naru.errors import RefusedError, UsageError
from naru.migrate import dump_facts
from naru.migrate.dump_facts import Obstacle, SourceFacts, judge_source, observe_source, refuse
from naru.migrate.dump_folder import ROLES, SECRETS, list_files, must_be_free, seal, writing
from naru.migrate.dump_manifest import Content, DumpedRoles, Manifest, as_text
from naru.migrate.dump_one import How, Rows, dump_one, now
from naru.migrate.dump_programs import can_compress, choose_dump_programs
from naru.migrate.dump_session import Server
from naru.migrate.roles import RoleFacts
from naru.postgres import Dsn, find_installations
from naru.system import SILENT, Observer, step, write_atomically


@dataclass(frozen=True)
class DumpOptions:
    """What is dumped, and how."""

    databases: tuple[str, ...] = ()
    """By default the one that the source's address names."""
    all_databases: bool = False
    content: Content = "all"
    rows: Rows = "counts"
    jobs: int = 2
    compress: str | None = None
    passwords: bool = True
    """Put the roles' stored secrets into the dump, in a file of their own."""
    lock_seconds: float = 10.0
    check_room: bool = True
    programs: tuple[Path, ...] = ()


def dump_databases(
    source: Dsn, folder: Path, options: DumpOptions, observer: Observer = SILENT
) -> Manifest:
    """Dump databases of the server behind `source` into `folder`, which is made.

    `folder` appears whole at the end, or not at all. Raises RefusedError with everything
    that stands in the way before anything is done.
    """
    folder = folder.absolute()
    must_be_free(folder)
    begun = now()
    server = Server(source, options.lock_seconds)
    with step(observer, "look at the source"):
        facts = [_observe(server, name) for name in _chosen(server, options, observer)]
        how = _how(facts, options)
        _judge(server, folder, facts, how, options, observer)
    with writing(folder, observer) as partial:
        found = [dump_one(server, one, partial, how, observer) for one in facts]
        with step(observer, "roles"):
            passwords = _write_roles(partial, [roles for _, roles in found], options, observer)
        with step(observer, "checksums"):
            files = list_files(partial, jobs=options.jobs, observer=observer)
        manifest = Manifest(
            identity=secrets.token_hex(8), naru=__version__, begun=begun, ended=now(),
            server=facts[0].version, server_major=facts[0].major,
            program=".".join(map(str, how.programs.version)), program_major=how.programs.major,
            compression=how.method, content=how.content, passwords=passwords,
            databases=tuple(one for one, _ in found), files=tuple(files),
        )  # fmt: skip
        seal(partial, folder, manifest)
    return manifest


def _chosen(server: Server, options: DumpOptions, observer: Observer) -> list[str]:
    """The names of the databases to dump. Raises RefusedError if there are none."""
    if not options.all_databases:
        return list(dict.fromkeys(options.databases or [server.source.database]))
    if options.databases:
        raise UsageError("all databases, or some by name: not both")
    with server.session(server.source.database) as connection:
        names = dump_facts.read_databases(connection)
    if "postgres" in names and _holds_nothing(server, "postgres"):
        names.remove("postgres")
        observer.note("database postgres holds nothing, and is left out")
    if not names:
        raise RefusedError(f"{server.source}: no database of this server holds anything")
    return names


def _holds_nothing(server: Server, name: str) -> bool:
    with server.session(name) as connection:
        return dump_facts.holds_nothing(connection)


def _observe(server: Server, name: str) -> SourceFacts:
    with server.session(name) as connection:
        return observe_source(connection, name)


def _how(facts: Sequence[SourceFacts], options: DumpOptions) -> How:
    installations = find_installations(options.programs)
    programs, method = choose_dump_programs(
        installations, facts[0].major, options.compress, can_compress
    )
    return How(programs, method, options.content, options.rows, options.jobs)


def _judge(
    server: Server,
    folder: Path,
    facts: Sequence[SourceFacts],
    how: How,
    options: DumpOptions,
    observer: Observer,
) -> None:
    """Raise RefusedError with everything that stands in the way; note what is left out."""
    free = shutil.disk_usage(folder.parent).free if options.check_room else None
    found: list[Obstacle] = []
    for one in facts:
        found += judge_source(one, content=how.content, compression=how.method, free=free)
        # What an earlier one of them takes is not there for the next.
        if free is not None:
            free -= dump_facts.room_needed(one.table_bytes, how.method)
        if one.subscriptions:
            observer.note(
                f"database {one.database}: its {one.subscriptions} subscriptions are left"
                " out: they carry the address and password of another server"
            )
    refuse(f"{server.source} cannot be dumped yet", found)


def _write_roles(
    partial: Path, found: Sequence[RoleFacts], options: DumpOptions, observer: Observer
) -> bool:
    """The roles of all databases in one file, and if wanted their secrets in another.

    True if the secrets are in the dump.
    """
    needed = {name: role for one in found for name, role in one.roles.items()}
    settings = {s: None for one in found for s in one.settings if s.role and not s.in_database}
    roles = DumpedRoles(
        roles=tuple(needed[name] for name in sorted(needed)),
        memberships=tuple(one for one in found[0].memberships if one.member in needed),
        settings=tuple(one for one in settings if one.role in needed),
    )
    write_atomically(partial / ROLES, as_text(roles), mode=0o600)
    for name in sorted({role.name for one in found for role in one.reserved}):
        observer.note(
            f"role {name} is not in the dump, as names that begin with naru_ are for Naru's own:"
            " make it before a restore, or give it another name first"
        )
    if not options.passwords:
        return False
    kept = found[0].secrets
    if kept is None:
        observer.note("roles' passwords are left out: this login may not read pg_authid")
        return False
    chosen = {name: kept[name] for name in sorted(needed) if name in kept}
    write_atomically(partial / SECRETS, as_text(chosen), mode=0o600)
    return True
