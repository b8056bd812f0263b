"""A migration that an upgrade runs is shown to whoever names it, and worked on by nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from naru.errors import UsageError
from naru.journal import Journal
from naru.migrate import Owner, SeenAt, begin_or_resume, resume
from naru.postgres import Dsn

UPGRADE = Owner("the upgrade 17 to 18", "naru service upgrade")
OLD, NEW = Dsn.of("127.7.3.32", 2868, "cedb", "postgres"), Dsn.of("127.7.3.32", 2869, "cedb", "x")
SOURCE, SERVICE = Dsn.of("127.7.3.31", 2866, "shop", "x"), Dsn.of("127.7.3.32", 2866, "shop", "x")
NOWHERE = SeenAt()


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """One in which an upgrade moves a database."""
    with Journal.in_folder(tmp_path) as journal:
        begin_or_resume(journal, "upgrade_18_cedb", OLD, NEW, NOWHERE, owner=UPGRADE)
        yield journal


def test_who_asks_for_any_migration_is_told_where_it_is_shown(journal: Journal) -> None:
    with pytest.raises(UsageError, match="the upgrade 17 to 18 runs upgrade_18_cedb") as told:
        resume(journal, None, SOURCE, SERVICE, NOWHERE, to_look=True)
    assert "naru service upgrade shows them" in str(told.value.remedy)


def test_by_its_name_it_is_shown_whatever_the_environments_databases_are(journal: Journal) -> None:
    record = resume(journal, "upgrade_18_cedb", SOURCE, SERVICE, NOWHERE, to_look=True)
    assert record.source.dsn.port == 2868
    assert record.owner == UPGRADE


def test_only_its_owner_works_on_it(journal: Journal) -> None:
    with pytest.raises(UsageError, match="is part of the upgrade 17 to 18"):
        resume(journal, "upgrade_18_cedb", OLD, NEW, NOWHERE)
    with pytest.raises(UsageError, match="is part of the upgrade 17 to 18"):
        begin_or_resume(journal, "upgrade_18_cedb", OLD, NEW, NOWHERE)
    again = begin_or_resume(journal, "upgrade_18_cedb", OLD, NEW, NOWHERE, owner=UPGRADE)
    assert again.run.number == 1


def test_one_of_its_own_is_found_beside_it(journal: Journal) -> None:
    begin_or_resume(journal, "shop", SOURCE, SERVICE, NOWHERE)
    assert resume(journal, None, SOURCE, SERVICE, NOWHERE).names.migration == "shop"
    assert resume(journal, None, None, None, NOWHERE).owner is None
