"""Deleting backups: what goes, and what can be restored afterwards, before anything is done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from naru.backup.catalogue import Backup, chain_of, find_backup
from naru.backup.plan import Facts, Limits, limits_of, usable
from naru.errors import RefusedError


@dataclass(frozen=True)
class DeletionPlan:
    """What goes; `named` is what was asked for, `with_them` what builds on those."""

    named: tuple[Backup, ...]
    with_them: tuple[Backup, ...]
    before: Limits | None
    after: Limits
    """What can be restored once they are gone."""

    @property
    def size(self) -> int:
        """Bytes of base backups that go; WAL that nothing needs any more goes besides."""
        return sum(one.size for one in (*self.named, *self.with_them))


def plan_deletion(named: Sequence[str], facts: Facts) -> DeletionPlan:
    """Decide what goes with the backups `named`, by id or name.

    Raises UsageError for one that there is not, RefusedError when nothing could be restored
    any more.
    """
    chosen = {find_backup(facts.backups, one).id for one in named}
    gone = [
        one
        for one in facts.backups
        if any(part.id in chosen for part in chain_of(facts.backups, one))
    ]
    left = tuple(one for one in facts.backups if one not in gone)
    after = replace(facts, backups=left)
    if not usable(after):
        raise RefusedError(
            "this would delete the last backup that the service can be restored from",
            remedy="take another one first: `naru service backup`",
        )
    return DeletionPlan(
        # Newest first: a backup that builds on another one goes before it.
        named=tuple(one for one in reversed(gone) if one.id in chosen),
        with_them=tuple(one for one in gone if one.id not in chosen),
        before=limits_of(facts) if usable(facts) else None,
        after=limits_of(after),
    )
