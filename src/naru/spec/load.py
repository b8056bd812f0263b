"""Reading naru.toml: every error carries file and line, names the key, says what is allowed."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from operator import itemgetter
from pathlib import Path

from naru.errors import SpecError, UsageError
from naru.spec.check import Fault, check
from naru.spec.locate import line_numbers, line_of
from naru.spec.model import Spec

FILE_NAME = "naru.toml"


def find_spec(start: Path | None = None) -> Path | None:
    """The naru.toml in `start` (the current folder when None), or None if there is none."""
    path = (start or Path.cwd()) / FILE_NAME
    return path if path.is_file() else None


def load(path: Path | None) -> Spec:
    """The Spec in the file `path`; the reference lab when `path` is None.

    Raises SpecError with every fault of the file, each as `file:line: key: what is allowed`.
    """
    if path is None:
        return Spec()
    text = _read(path)
    try:
        declared = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SpecError(
            f"{path}:{_line_in(str(error), text)}: not TOML: {_without_place(str(error))}",
            remedy='write key = "value" under a [table]; `naru init` writes a whole file',
        ) from None
    found = check(declared)
    if isinstance(found, Spec):
        _keep_private(path, found)
        return found
    lines = line_numbers(text)
    placed = sorted(
        ((line_of(lines, fault.path) or 1, fault) for fault in found), key=itemgetter(0)
    )
    raise complaint([(f"{path}:{line}: ", fault) for line, fault in placed])


def complaint(faults: Sequence[tuple[str, Fault]]) -> SpecError:
    """One error for several faults, each after the words that say where it stands."""
    lines = [f"{where}{fault.key}: {fault.text}" for where, fault in faults]
    remedy = "correct this" if len(lines) == 1 else f"correct these {len(lines)} places"
    return SpecError("\n".join(lines), remedy=f"{remedy}, then run the same command again")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SpecError(
            f"{path}: no such file", remedy="`naru init` writes one; without any, the lab is meant"
        ) from None
    except UnicodeDecodeError as error:
        raise SpecError(
            f"{path}: not UTF-8 at byte {error.start}", remedy="save it as UTF-8"
        ) from None
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be read: {error.strerror}", remedy="check its owner and mode"
        ) from None


def _keep_private(path: Path, spec: Spec) -> None:
    if spec.service.password is not None and path.stat().st_mode & 0o077:
        raise SpecError(
            f"{path}: holds service.password, and others may read it",
            remedy=f"chmod 600 {path}",
        )


_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


def _line_in(message: str, text: str) -> int:
    match = _PLACE.search(message)
    return int(match[1]) if match and match[1] else text.rstrip("\n").count("\n") + 1


def _without_place(message: str) -> str:
    return _PLACE.sub("", message)
