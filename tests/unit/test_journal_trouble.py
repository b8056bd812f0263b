"""A journal that cannot be written says which file it is, and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from naru.errors import StoppedError
from naru.journal import Journal, Sample


def test_a_full_disk_is_told_and_nothing_is_half_written(tmp_path: Path) -> None:
    with Journal.in_folder(tmp_path) as journal:
        run = journal.begin("migrate", "app")
        journal._db.execute("PRAGMA max_page_count = 1")  # as small as it is now
        with pytest.raises(StoppedError, match=r"journal\.sqlite.*full") as caught:
            run.remember("phase", "x" * 100_000)
        assert "make room" in (caught.value.remedy or "")
        with pytest.raises(StoppedError, match="full"):
            run.add_samples("lag", [Sample(1.0, {"bytes": "x" * 100_000})])
        assert run.recall("phase") is None
        assert run.samples("lag") == []


def test_a_folder_that_cannot_hold_a_journal_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StoppedError, match=str(tmp_path / "file")):
        Journal.in_folder(tmp_path / "file")
