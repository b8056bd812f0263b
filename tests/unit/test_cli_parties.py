"""What commands share that work on a migration."""

from __future__ import annotations

from pathlib import Path

import pytest

from naru.cli.parties import Parties, journal_of
from naru.errors import UsageError


def test_who_only_looks_for_a_migration_leaves_no_folder_behind(tmp_path: Path) -> None:
    found = Parties(None, None, tmp_path / "state", environment=False, spec_file=None)
    with pytest.raises(UsageError, match="no migration is under way"), journal_of(found):
        pass
    assert not found.folder.exists()
    with journal_of(found, begins=True) as journal:
        assert journal.runs() == []
    with journal_of(found) as journal:
        assert journal.runs() == []
