"""Barman's command line: it is called, never imported."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from naru.backup.store import Store
from naru.errors import DeadlineError, ProcessError, RefusedError, ServerError, UsageError
from naru.ground import ENVIRONMENT_MARK, Ground
from naru.system import need_program, run, wait_until

_QUICK = 120.0
_TURN = 120.0
"""How long a deletion waits for another work, in seconds."""
_BUSY = (
    "is running",
    "already running",
    "Another process in running",
    "Another process is holding the lock",
)
"""What Barman says while it is at work on the same server."""
_RESERVED = frozenset({
    "all", "auto", "first", "first-full", "last", "last-failed", "last-full", "latest",
    "latest-full", "oldest",
})  # fmt: skip
"""What Barman itself means by these words."""


class Barman:
    """Barman for one store, as the servers' account."""

    def __init__(self, store: Store, ground: Ground) -> None:
        self._store = store
        self._ground = ground

    @property
    def program(self) -> str:
        """Its path. Raises MissingToolError that says how to get it."""
        return str(need_program("barman"))

    def check(self) -> dict[str, dict[str, str]]:
        """Barman's own tests of everything: for each its `status` and a `hint`."""
        said = self._run("-f", "json", "check", self._store.server, check=False)
        found = self._parse(said).get(self._store.server)
        if not isinstance(found, dict):
            raise ServerError(f"barman check told nothing of {self._store.server}: {said[-500:]}")
        return found

    def obsolete(self) -> frozenset[str]:
        """Backups that no point in time within the retention needs any more."""
        listed = self._parse(self._run("-f", "json", "list-backups", self._store.server))
        return frozenset(
            one["backup_id"]
            for one in listed.get(self._store.server, ())
            if one.get("retention_status") == "OBSOLETE"
        )

    def backup(self, *, name: str | None, incremental: bool, seconds: float) -> None:
        """Take a backup and wait until it can be restored. Waits for one that is under way."""
        words = ["backup", "--wait", "--wait-timeout", "600"]
        words += ["--name", name] if name else []
        words += ["--incremental", "latest"] if incremental else []
        wait_until(
            self._unless_busy(*words, self._store.server, seconds=seconds),
            "another backup to end",
            seconds,
            every=1.0,
        )

    def delete(self, backup_id: str) -> None:
        """Delete a backup, all that builds on it, and the WAL that nothing needs any more.

        Waits a while for another work of Barman's. Raises RefusedError while that goes on.
        """
        tried = self._unless_busy("delete", self._store.server, backup_id, seconds=3600)
        try:
            wait_until(tried, "another work of Barman's to end", _TURN, every=1.0)
        except DeadlineError:
            raise RefusedError(
                f"backup {backup_id} is not deleted: another backup or deletion is under way",
                remedy="run the same command once it has ended; `naru service backups` shows it",
            ) from None

    def archive(self) -> None:
        """Put what has arrived whole into the archive; harmless while that is being done."""
        self._run("archive-wal", self._store.server)

    def restore(
        self, backup_id: str, folder: str, target: list[str], timeline: int, fetch: str,
        *, seconds: float,
    ) -> None:  # fmt: skip
        """Lay a backup down in `folder`, ready to recover along `timeline` and be promoted.

        `fetch` becomes its restore_command.
        """
        self._run(
            "restore", "--get-wal", "--restore-command", fetch, *target, "--target-tli",
            str(timeline), "--target-action", "promote", self._store.server, backup_id, folder,
            seconds=seconds,
        )  # fmt: skip

    def rebuild(self) -> None:
        """Make Barman's list of WAL anew from the files there are."""
        self._run("rebuild-xlogdb", self._store.server)

    def _unless_busy(self, *words: str, seconds: float) -> Callable[[], bool]:
        def tried() -> bool:
            try:
                self._run(*words, seconds=seconds)
            except ProcessError as error:
                if any(words in error.message for words in _BUSY):
                    return False
                raise
            return True

        return tried

    def _run(self, *words: str, seconds: float = _QUICK, check: bool = True) -> str:
        done = run(
            [self.program, "-c", self._store.config, *words],
            seconds=seconds,
            account=self._ground.account,
            env={ENVIRONMENT_MARK: str(self._ground.folder), "LC_ALL": "C.UTF-8"},
            cwd=self._store.home,
            check=False,
        )
        if check and done.code != 0:
            said = (done.stdout + done.stderr).strip()
            raise ProcessError(
                f"barman {words[0]} ended with code {done.code}: {said[-1500:]}",
                remedy=f"see `naru service backup check` and {self._store.logs / 'barman.log'}",
            )
        return done.stdout

    def _parse(self, text: str) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(text)
        except ValueError:
            raise ServerError(f"barman wrote no JSON: {text[-500:]}") from None
        return found


def check_name(name: str) -> str:
    """A name for a backup and its restore point. Raises UsageError for one that cannot be."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]{0,62}", name) or name.lower() in _RESERVED:
        raise UsageError(
            f"{name!r} cannot be a backup's name",
            remedy="begin with a letter; letters, digits, _ . - may follow; not a word that"
            f" Barman reads otherwise ({', '.join(sorted(_RESERVED))})",
        )
    return name
