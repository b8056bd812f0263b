"""Restore: a dump into databases of another server, in steps that survive a crash, proven."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg

from naru.errors import NotPermittedError, RefusedError, UsageError
from naru.journal import Journal
from naru.migrate.database import is_missing
from naru.migrate.dump_facts import Obstacle, refuse
from naru.migrate.dump_folder import CONTENTS, ROLES, SECRETS, check_files, read_manifest
from naru.migrate.dump_manifest import Content, Contents, DumpedDatabase, DumpedRoles, Manifest
from naru.migrate.dump_programs import choose_restore_programs
from naru.migrate.restore_facts import judge_target, observe_target, remarks
from naru.migrate.restore_proof import RestoredDatabase
from naru.migrate.restore_run import RestoreRun, RestoreTask
from naru.migrate.sides import PLAIN
from naru.postgres import Connection, Dsn, Installation, connect, explain, find_installations
from naru.system import SILENT, Observer, step


@dataclass(frozen=True)
class RestoreOptions:
    """What is restored, and how."""

    databases: tuple[str, ...] = ()
    """By default all that the dump holds."""
    content: Content = "all"
    create: bool = False
    """Make databases that do not exist, as the source's were made."""
    roles: bool = True
    owner: bool = True
    privileges: bool = True
    jobs: int = 2
    verify: Dsn | None = None
    """A server that still has the databases, standing still, to compare with."""
    programs: tuple[Path, ...] = ()


class Restore:
    """One dump into one server; run again after a crash it goes on where it was."""

    def __init__(
        self, folder: Path, target: Dsn, options: RestoreOptions, observer: Observer = SILENT
    ) -> None:
        self._folder, self._target, self._options = folder.absolute(), target, options
        self._observer = observer
        self._manifest: Manifest | None = None

    @property
    def manifest(self) -> Manifest:
        """What is restored. Raises RefusedError if the folder holds no whole dump."""
        if self._manifest is None:
            self._manifest = read_manifest(self._folder)
        return self._manifest

    def check(self) -> list[RestoreTask]:
        """Read every file of the dump, look at the target; change nothing.

        Raises RefusedError with everything that stands in the way.
        """
        content = self._content()
        databases = self._databases()
        with step(self._observer, "check the dump's files"):
            check_files(
                self._folder, self.manifest, jobs=self._options.jobs, observer=self._observer
            )
        programs = choose_restore_programs(
            find_installations(self._options.programs), self.manifest.program_major
        )
        with step(self._observer, "look at the target"):
            tasks = [self._task(one, content, programs) for one in databases]
            obstacles = [found for task in tasks for found in self._judge(task)]
        refuse(f"{self._folder} cannot be restored yet", obstacles)
        return tasks

    def perform(self, journal: Journal) -> list[RestoredDatabase]:
        """Check, restore every database, and hold each against the dump.

        Only when all are there does any of them forget what was restored into it.
        """
        runs = [RestoreRun(task, journal, self._observer) for task in self.check()]
        restored = [run.perform() for run in runs]
        for run, one in zip(runs, restored, strict=True):
            run.close(one)
        return restored

    def _content(self) -> Content:
        wanted, have = self._options.content, self.manifest.content
        if wanted == "all":
            return have
        if have not in ("all", wanted):
            raise RefusedError(f"{self._folder} holds {have} only, no {wanted}")
        return wanted

    def _databases(self) -> list[DumpedDatabase]:
        chosen = self._options.databases
        if not chosen:
            return list(self.manifest.databases)
        return [self.manifest.database(name) for name in dict.fromkeys(chosen)]

    def _task(
        self, database: DumpedDatabase, content: Content, programs: Installation
    ) -> RestoreTask:
        options = self._options
        folder = self._folder / database.folder
        contents = Contents.from_json(json.loads((folder / CONTENTS).read_text()))
        roles = DumpedRoles.from_json(json.loads((self._folder / ROLES).read_text()))
        return RestoreTask(
            manifest=self.manifest,
            database=database,
            contents=contents,
            archive=folder / "archive",
            target=self._target_of(database),
            content=content,
            programs=programs,
            jobs=options.jobs,
            roles=roles.facts(contents, self._secrets()) if options.roles else None,
            owner=options.owner,
            privileges=options.privileges,
            source=options.verify.with_(dbname=database.name) if options.verify else None,
        )

    def _secrets(self) -> Mapping[str, str] | None:
        """The roles' stored secrets; None if the dump has none."""
        path = self._folder / SECRETS
        return dict(json.loads(path.read_text())) if path.exists() else None

    def _target_of(self, database: DumpedDatabase) -> Dsn:
        """By the dump's names; a single database may get the name that the address gives."""
        single = len(self._databases()) == 1
        if single and "dbname" in self._target.parameters:
            return self._target
        return self._target.with_(dbname=database.name)

    def _judge(self, task: RestoreTask) -> Iterator[Obstacle]:
        exists = not is_missing(task.target)
        wanted = task.roles or DumpedRoles((), (), ()).facts(task.contents, None)
        tables = task.contents.tables if task.content == "data" else ()
        with _at(task.target, exists=exists) as connection:
            try:
                facts = observe_target(
                    connection, task.target.database, exists=exists, roles=wanted, tables=tables
                )
            except psycopg.Error as error:
                raise explain(error, task.target, "looking at the target") from error
        for remark in remarks(facts, task.database):
            self._observer.note(remark)
        yield from judge_target(
            facts, self.manifest, task.database, task.contents, content=task.content,
            create=self._options.create, roles=self._options.roles,
        )  # fmt: skip


@contextmanager
def _at(target: Dsn, *, exists: bool) -> Iterator[Connection]:
    """A connection to the target, or to its server if the database is still to be made."""
    if exists:
        with connect(target, purpose="restore", settings=PLAIN) as connection:
            yield connection
        return
    for name in ("postgres", "template1"):
        with suppress(NotPermittedError):
            connection = connect(target.with_(dbname=name), purpose="restore", settings=PLAIN)
            break
    else:
        raise UsageError(f"{target}: no database of that server lets this login in")
    with connection:
        yield connection
