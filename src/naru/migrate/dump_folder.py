"""The folder of a dump: written beside its place, sealed, named at last; checked when read.

    manifest.json           what it is, and every other file with size and SHA-256
    manifest.json.sha256    the manifest's own, for `sha256sum -c`
    roles.json              roles, memberships, settings
    role-secrets.json       the roles' stored secrets; may be left out
    databases/NAME/archive  what pg_dump has made, in its directory format
    databases/NAME/contents.json

While it is written the folder is called `NAME.partial`; a folder with a manifest is whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

from naru.errors import DeadlineError, NotPermittedError, RefusedError, TakenError, UsageError
from naru.migrate.dump_manifest import DumpedFile, Manifest, as_text
from naru.migrate.leftovers import end_leftovers
from naru.system import SILENT, Observer, locked, private_folder, write_atomically

MANIFEST = "manifest.json"
CHECKSUM = "manifest.json.sha256"
ROLES = "roles.json"
SECRETS = "role-secrets.json"
CONTENTS = "contents.json"
_LOCK = "naru.lock"
_UNLISTED = {MANIFEST, CHECKSUM, _LOCK}
_BLOCK = 1 << 20


def place_of(database: str) -> str:
    """The path of a database in a dump; any name becomes one that every file system takes."""
    return f"databases/{quote(database, safe='').replace('.', '%2E')}"


def partial_of(folder: Path) -> Path:
    """Where the dump `folder` is written."""
    return folder.with_name(f"{folder.name}.partial")


@contextlib.contextmanager
def writing(folder: Path, observer: Observer = SILENT) -> Iterator[Path]:
    """A new empty folder beside `folder`, for this process alone.

    What an earlier process has left there is removed, and said. It is also removed when
    the block fails. Raises RefusedError if `folder` is not free, TakenError if another
    naru is writing.
    """
    must_be_free(folder)
    partial = partial_of(folder)
    with _alone(partial):
        _empty(partial, observer)
        try:
            yield partial
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise


def must_be_free(folder: Path) -> None:
    """Raise RefusedError if `folder` holds something, UsageError if it cannot be made."""
    if not folder.parent.is_dir():
        raise UsageError(f"{folder.parent} is no folder", remedy="make it, or name another place")
    if folder.name.endswith(".partial"):
        raise UsageError(f"{folder}: this name is kept for dumps that are being written")
    if (folder / MANIFEST).exists():
        raise RefusedError(
            f"{folder} already holds a dump",
            remedy="name another folder, or remove that dump yourself",
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RefusedError(f"{folder} is not empty", remedy="name a folder that does not exist yet")


@contextlib.contextmanager
def _alone(partial: Path) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        try:
            private_folder(partial)
            stack.enter_context(locked(partial / _LOCK, "the other naru to end", 0))
        except DeadlineError:
            raise TakenError(
                f"{partial} is being written by another naru", remedy="wait until it has ended"
            ) from None
        except OSError as error:
            raise NotPermittedError(
                f"{partial}: cannot be written: {error.strerror}",
                remedy="name a folder whose parent this account may write to",
            ) from error
        yield


def _empty(partial: Path, observer: Observer) -> None:
    """Take away what a process that died has left, and what it started."""
    left = [one for one in partial.iterdir() if one.name != _LOCK]
    ended = end_leftovers(partial)
    for one in left:
        shutil.rmtree(one) if one.is_dir() else one.unlink()
    if left or ended:
        observer.note(f"{partial}: an earlier dump was not completed; what it left was removed")


def seal(partial: Path, folder: Path, manifest: Manifest) -> None:
    """Write the manifest, make everything durable, and give the folder its name."""
    text = as_text(manifest.to_json())
    write_atomically(partial / MANIFEST, text, mode=0o600)
    digest = hashlib.sha256(text.encode()).hexdigest()
    write_atomically(partial / CHECKSUM, f"{digest}  {MANIFEST}\n", mode=0o600)
    for one in [*partial.rglob("*"), partial]:
        if one.is_dir():
            _sync(one)
    (partial / _LOCK).unlink()
    partial.rename(folder)
    _sync(folder.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def list_files(folder: Path, *, jobs: int = 2, observer: Observer = SILENT) -> list[DumpedFile]:
    """Every file below `folder` but the manifest, with its size and SHA-256, by path."""
    paths = sorted(one for one in folder.rglob("*") if not one.is_dir())
    relative = {one.relative_to(folder).as_posix(): one for one in paths}
    chosen = {name: one for name, one in relative.items() if name not in _UNLISTED}
    total = sum(one.stat().st_size for one in chosen.values())
    done = 0
    files = []
    with ThreadPoolExecutor(jobs) as pool:
        for name, (size, digest) in zip(chosen, pool.map(_digest, chosen.values()), strict=True):
            done += size
            observer.progress("checksums", done, max(total, done), "bytes")
            files.append(DumpedFile(name, size, digest))
    return files


def _digest(path: Path) -> tuple[int, str]:
    found, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            found.update(block)
            size += len(block)
    return size, found.hexdigest()


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a whole dump. Raises RefusedError for what is none, or damaged."""
    if not folder.is_dir():
        raise RefusedError(f"{folder} is no folder", remedy="name the folder of a dump")
    if not (folder / MANIFEST).exists():
        begun = folder.name.endswith(".partial") or partial_of(folder).exists()
        text = "is a dump that was not completed" if begun else "holds no dump by naru"
        raise RefusedError(
            f"{folder} {text}: it has no {MANIFEST}",
            remedy="make the dump anew: naru migrate dump" if begun else "name a dump's folder",
        )
    raw = (folder / MANIFEST).read_bytes()
    try:
        said = (folder / CHECKSUM).read_text().split()[0]
    except (OSError, UnicodeDecodeError, IndexError):
        raise _damaged(folder, [f"{CHECKSUM} is missing or damaged"]) from None
    if hashlib.sha256(raw).hexdigest() != said:
        raise _damaged(folder, [f"{MANIFEST} is not as it was written"])
    try:
        return Manifest.from_json(json.loads(raw))
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(folder, [f"{MANIFEST} cannot be read ({error})"]) from error


def check_files(
    folder: Path, manifest: Manifest, *, jobs: int = 2, observer: Observer = SILENT
) -> None:
    """Read every file. Raises RefusedError naming each that is damaged, missing or additional."""
    found = {one.path: one for one in list_files(folder, jobs=jobs, observer=observer)}
    faults = []
    for wanted in manifest.files:
        have = found.pop(wanted.path, None)
        if have is None:
            faults.append(f"{wanted.path} is missing")
        elif have.bytes != wanted.bytes:
            faults.append(f"{wanted.path} has {have.bytes:,} bytes instead of {wanted.bytes:,}")
        elif have != wanted:
            faults.append(f"{wanted.path} is damaged: its checksum is not the manifest's")
    faults += [f"{path} does not belong to it" for path in found]
    if faults:
        raise _damaged(folder, faults)


_SHOWN = 10


def _damaged(folder: Path, faults: list[str]) -> RefusedError:
    more = f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
    return RefusedError(
        f"the dump in {folder} is not as it was written: {'; '.join(faults[:_SHOWN])}{more}",
        remedy="take another copy of this dump, or make a new one",
    )
