"""Files and folders that are never met half made or half gone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from naru.system import discard


def test_nobody_finds_half_of_a_folder_whose_deletion_was_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "data"
    (folder / "base").mkdir(parents=True)

    def cut_off(path: Path, **_: object) -> None:
        if path.exists():
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", cut_off)
        with pytest.raises(KeyboardInterrupt):
            discard(folder)
    assert not folder.exists()
    assert list(tmp_path.iterdir()) != []
    folder.mkdir()
    discard(folder)
    discard(folder)
    assert list(tmp_path.iterdir()) == []
