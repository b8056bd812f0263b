"""One database's archive: written by pg_dump at a snapshot, and its list of contents."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from naru.migrate.dump_facts import SourceFacts
from naru.migrate.dump_manifest import Content
from naru.migrate.dump_programs import compress_option, environment, run_watched
from naru.migrate.dump_progress import CopyProgress, size_of
from naru.migrate.names import OWN_SCHEMA
from naru.postgres import Dsn, Installation
from naru.system import SILENT, Observer, run, write_atomically
from naru.system.units import human_bytes

_LIST_SECONDS = 600.0
_ONLY: dict[Content, list[str]] = {"all": [], "schema": ["--schema-only"], "data": ["--data-only"]}
_LINE = re.compile(r"(\d+); (\d+) (\d+) (.*)")
_TYPES = ("TABLE DATA", "SEQUENCE SET")
_SETVAL = re.compile(
    r"^SELECT pg_catalog\.setval\('((?:[^']|'')*)', (-?\d+), (true|false)\);$", re.MULTILINE
)


@dataclass(frozen=True)
class DataEntry:
    """A line of an archive's list that is no schema; `type` is empty for large objects."""

    line: str
    type: str
    oid: int
    """Of the table, for `TABLE DATA`."""


def write_archive(
    dsn: Dsn,
    folder: Path,
    programs: Installation,
    facts: SourceFacts,
    *,
    snapshot: str,
    method: str,
    content: Content,
    jobs: int,
    lock_seconds: float,
    observer: Observer = SILENT,
) -> None:
    """Let pg_dump write `folder/archive` as of `snapshot`.

    Subscriptions are left out: their connection strings hold passwords. Raises
    ProcessError with pg_dump's words.
    """
    archive = folder / "archive"
    encoding = "SQL_ASCII" if facts.encoding == "SQL_ASCII" else "UTF8"
    argv: list[str | Path] = [
        programs.tool("pg_dump"), "--format=directory", f"--jobs={jobs}", "--verbose",
        "--no-password", f"--file={archive}", f"--snapshot={snapshot}", f"--encoding={encoding}",
        f"--lock-wait-timeout={int(lock_seconds * 1000)}", compress_option(programs, method),
        "--no-subscriptions", f"--exclude-schema={OWN_SCHEMA}", *_ONLY[content],
    ]  # fmt: skip
    expected = {f"{one.schema}.{one.name}": max(one.rows, 0) for one in facts.tables}
    progress = CopyProgress(
        dsn.database, dsn, {} if content == "schema" else expected, observer,
        written=lambda: f"{human_bytes(size_of(archive))} written",
    )  # fmt: skip
    with progress:
        run_watched(argv, env=environment(dsn, "dump"), on_line=progress.hear, look=progress.look)
    archive.chmod(0o700)
    for one in archive.iterdir():
        one.chmod(0o600)


def data_entries(programs: Installation, archive: Path) -> list[DataEntry]:
    """What of an archive is content: rows, positions of sequences, large objects."""
    listing = run(
        [programs.tool("pg_restore"), "--list", "--data-only", archive], seconds=_LIST_SECONDS
    ).stdout
    return list(split_list(listing))


def split_list(listing: str) -> Iterator[DataEntry]:
    """The entries in what `pg_restore --list` printed."""
    for line in listing.splitlines():
        if match := _LINE.fullmatch(line):
            kind = next((one for one in _TYPES if match[4].startswith(f"{one} ")), "")
            yield DataEntry(line, kind, int(match[3]))


def write_list(path: Path, entries: Sequence[DataEntry]) -> Path:
    """A list for `pg_restore --use-list`."""
    write_atomically(path, "".join(f"{one.line}\n" for one in entries), mode=0o600)
    return path


def read_sequence_values(programs: Installation, archive: Path) -> dict[str, tuple[int, bool]]:
    """Where the archive sets each sequence: by qualified name, last value and is_called."""
    entries = [one for one in data_entries(programs, archive) if one.type == "SEQUENCE SET"]
    if not entries:
        return {}
    chosen = write_list(archive.with_name("sequences.list"), entries)
    try:
        text = run(
            [programs.tool("pg_restore"), "--data-only", f"--use-list={chosen}", "--file=-",
             archive],
            seconds=_LIST_SECONDS,
        ).stdout  # fmt: skip
    finally:
        chosen.unlink()
    return {
        match[1].replace("''", "'"): (int(match[2]), match[3] == "true")
        for match in _SETVAL.finditer(text)
    }
