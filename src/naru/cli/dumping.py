"""`naru migrate dump` and `naru migrate restore`: by a folder, for what cannot be followed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from naru.cli import talk
from naru.cli.options import JobsOption, JsonOption, SpecOption, spec_of
from naru.cli.parties import both, parties
from naru.cli.progress import observer_for
from naru.cli.verify import verdict_line
from naru.errors import UsageError

if TYPE_CHECKING:
    from naru.migrate import Content, Manifest, RestoredDatabase, RestoreTask
    from naru.postgres import Dsn

SchemaOnlyOption = Annotated[bool, typer.Option("--schema-only", help="No rows.")]
DataOnlyOption = Annotated[
    bool, typer.Option("--data-only", help="Rows, sequences and large objects alone.")
]
DatabaseOption = Annotated[
    list[str] | None,
    typer.Option("--database", metavar="NAME", help="Of several, only this one; repeatable."),
]
ProgramsOption = Annotated[
    list[Path] | None,
    typer.Option("--postgres", metavar="FOLDER", help="More folders with PostgreSQL programs."),
]


def dump(
    to: Annotated[
        Path, typer.Option("--to", metavar="FOLDER", help="Made by this command, whole or not.")
    ],
    source: Annotated[
        str | None,
        typer.Option("--source", metavar="URI", help="What to dump; by default the lab's."),
    ] = None,
    database: DatabaseOption = None,
    all_databases: Annotated[
        bool, typer.Option("--all-databases", help="Every database of the source's server.")
    ] = False,
    schema_only: SchemaOnlyOption = False,
    data_only: DataOnlyOption = False,
    hashes: Annotated[
        bool,
        typer.Option("--hashes", help="Hash all rows, so that a restore is proven without source."),
    ] = False,
    no_counts: Annotated[
        bool, typer.Option("--no-counts", help="Do not even count rows: estimates only.")
    ] = False,
    jobs: JobsOption = 2,
    compress: Annotated[
        str | None,
        typer.Option(help="zstd, lz4, gzip or none; by default the best this pg_dump can."),
    ] = None,
    no_role_passwords: Annotated[
        bool, typer.Option("--no-role-passwords", help="Leave the roles' stored secrets out.")
    ] = False,
    lock_wait: Annotated[
        float, typer.Option(metavar="SECONDS", help="How long to wait for a locked table.")
    ] = 10.0,
    no_room_check: Annotated[
        bool, typer.Option("--no-room-check", help="Begin even if the disk looks too small.")
    ] = False,
    postgres: ProgramsOption = None,
    spec: SpecOption = None,
    json: JsonOption = False,
) -> None:
    """Dump the source into a folder, by pg_dump, at one consistent snapshot a database.

    With a manifest of what is in it and a checksum of every file. Exit code 1 if something
    stands in the way, which is named; 3 if the source or a program fails.
    """
    from naru.migrate import DumpOptions, dump_databases

    if hashes and no_counts:
        raise UsageError("--hashes counts rows: not with --no-counts")
    options = DumpOptions(
        databases=tuple(database or ()),
        all_databases=all_databases,
        content=_content(schema_only, data_only),
        rows="hashes" if hashes else "estimates" if no_counts else "counts",
        jobs=jobs,
        compress=compress,
        passwords=not no_role_passwords,
        lock_seconds=lock_wait,
        check_room=not no_room_check,
        programs=tuple(postgres or ()),
    )
    with observer_for() as observer:
        manifest = dump_databases(_one(source, "--source", spec), to, options, observer)
    _show_dump(manifest, to, json)


def _content(schema_only: bool, data_only: bool) -> Content:
    if schema_only and data_only:
        raise UsageError("--schema-only and --data-only leave nothing", remedy="give one of them")
    return "schema" if schema_only else "data" if data_only else "all"


def _one(uri: str | None, option: str, spec: Path | None) -> Dsn:
    """The database that an option names, else the environment's."""
    from naru.postgres import Dsn

    if uri is not None:
        return Dsn.parse(uri)
    found = both(parties(None, None, spec))
    return found[0] if option == "--source" else found[1]


def _show_dump(manifest: Manifest, folder: Path, json: bool) -> None:
    if json:
        talk.put_json({"folder": str(folder.absolute()), **manifest.to_json()})
        return
    size = sum(one.bytes for one in manifest.files)
    talk.put(f"dump\t{folder}\t{len(manifest.files)} files\t{size} bytes")
    for one in manifest.databases:
        talk.put(f"database\t{one.name}\tas of {one.begun}\tsnapshot {one.snapshot}")
    if manifest.passwords:
        talk.say(f"the roles' stored secrets are in {folder / 'role-secrets.json'}: keep it safe")


def restore(
    from_: Annotated[
        Path, typer.Option("--from", metavar="FOLDER", help="A dump that naru has made.")
    ],
    target: Annotated[
        str | None,
        typer.Option("--target", metavar="URI", help="Where to; by default the lab's service."),
    ] = None,
    database: DatabaseOption = None,
    create: Annotated[
        bool, typer.Option("--create", help="Make databases that do not exist, as they were.")
    ] = False,
    schema_only: SchemaOnlyOption = False,
    data_only: DataOnlyOption = False,
    no_roles: Annotated[
        bool, typer.Option("--no-roles", help="Make no roles: those needed are there.")
    ] = False,
    no_owner: Annotated[
        bool, typer.Option("--no-owner", help="Everything belongs to the login of --target.")
    ] = False,
    no_privileges: Annotated[
        bool, typer.Option("--no-privileges", help="Leave out GRANT and REVOKE.")
    ] = False,
    jobs: JobsOption = 2,
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare with --source as well, which stands still.")
    ] = False,
    source: Annotated[
        str | None,
        typer.Option("--source", metavar="URI", help="For --verify: the server that was dumped."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check the dump and the target; change nothing.")
    ] = False,
    postgres: ProgramsOption = None,
    spec: SpecOption = None,
    json: JsonOption = False,
) -> None:
    """Restore a dump, after every file was checked, and hold the result against its manifest.

    Stopped at any point, the same command goes on. Exit code 1 if something stands in the
    way or the result is not what was dumped; 3 if the target or a program fails.
    """
    from naru.ground import state_folder
    from naru.journal import Journal
    from naru.migrate import Restore, RestoreOptions

    if source is not None and not verify:
        raise UsageError("--source is for --verify")
    options = RestoreOptions(
        databases=tuple(database or ()),
        content=_content(schema_only, data_only),
        create=create,
        roles=not no_roles,
        owner=not no_owner,
        privileges=not no_privileges,
        jobs=jobs,
        verify=_one(source, "--source", spec) if verify else None,
        programs=tuple(postgres or ()),
    )
    with observer_for() as observer:
        work = Restore(from_, _one(target, "--target", spec), options, observer)
        if dry_run:
            _show_tasks(work.check(), json)
            return
        with Journal.in_folder(state_folder(spec_of(spec)[1])) as journal:
            restored = work.perform(journal)
    _show_restored(restored, json)
    raise typer.Exit(0 if all(one.proven for one in restored) else 1)


def _show_tasks(tasks: Sequence[RestoreTask], json: bool) -> None:
    if json:
        talk.put_json({"would_restore": [one.name for one in tasks]})
        return
    for one in tasks:
        talk.put(f"would restore\t{one.name}")


def _show_restored(restored: Sequence[RestoredDatabase], json: bool) -> None:
    if json:
        talk.put_json(
            {
                "proven": all(one.proven for one in restored),
                "databases": [one.to_json() for one in restored],
            }
        )
        return
    for one in restored:
        talk.put(f"database\t{one.name}\t{'restored' if one.proven else 'differs'}\t{one.target}")
        if one.rows:
            rows = one.rows
            talk.put(f"rows\t{rows.rows} in {rows.tables} tables\t{rows.hashed} hashed")
            for difference in rows.differences:
                talk.put(f"differs\t{difference.object}\t{difference.text}")
            for name in rows.not_hashed:
                talk.say(f"{name}: only counted; the target hashes its columns in another way")
        for text in (*one.sequences, *one.problems):
            talk.put(f"problem\t{text}")
        if one.source:
            talk.put(f"source\t{verdict_line(one.source)}")


def register(app: typer.Typer) -> None:
    """Add the commands to `naru migrate`."""
    for command in (dump, restore):
        app.command()(command)
