"""Where `naru verify` keeps results, and what it does where it cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from naru.cli.comparing import must_take
from naru.cli.verify import _ledger
from naru.errors import NotPermittedError, UsageError
from naru.verify import Ledger


def test_results_are_kept_in_a_private_file_of_their_own(tmp_path: Path) -> None:
    with _ledger(tmp_path / "state", needed=False) as ledger:
        assert isinstance(ledger, Ledger)
        assert ledger.path.stat().st_mode & 0o777 == 0o600
        assert ledger.path.parent.stat().st_mode & 0o777 == 0o700


def test_results_that_cannot_be_kept_are_missed_only_where_they_are_needed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with _ledger(file, needed=False) as ledger:
        assert ledger is None
    assert "cannot be resumed" in capsys.readouterr().err
    with pytest.raises(NotPermittedError, match="cannot be kept"):
        _ledger(file, needed=True)


def test_a_file_that_cannot_be_written_is_told_before_the_work(tmp_path: Path) -> None:
    must_take(None, tmp_path / "page.html")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UsageError, match="cannot be written"):
        must_take(tmp_path / "nowhere" / "page.html")
    with pytest.raises(UsageError, match="is a folder"):
        must_take(tmp_path)
