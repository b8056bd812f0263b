"""What a PostgreSQL was built with is asked of its own programs."""

from __future__ import annotations

from pathlib import Path

import pytest

from naru.postgres import Installation, lacks_tls
from tests import servers

pytestmark = pytest.mark.integration


def test_a_server_that_was_built_without_tls_is_told_from_one_with_it() -> None:
    assert lacks_tls(servers.clients())
    assert not lacks_tls(servers.whole_newest())
    assert not lacks_tls(servers.new_installation())


def test_a_server_that_cannot_be_asked_is_not_said_to_lack_it(tmp_path: Path) -> None:
    broken = tmp_path / "postgres"
    broken.write_text("#!/bin/sh\necho 'cannot open shared object file' >&2\nexit 127\n")
    broken.chmod(0o755)
    assert not lacks_tls(Installation((18, 0), tmp_path, "setting"))
