"""An election of several nodes that was made without TLS begins anew with it, and forgets nothing.

Its nodes know each other by addresses without TLS, and would not find each other otherwise. What
the clusters keep there is read while nobody changes it, and put into the new one before a member
asks: so members find who led, and whom commits waited for.
"""

from __future__ import annotations

import json
import shutil
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

from naru.errors import DeadlineError
from naru.ground import Ground
from naru.service.election import key_values, range_of, restore_keys
from naru.service.layout import Layout
from naru.system import wait_until, write_atomically

ANSWER_SECONDS = 30.0
_SECONDS = 5.0


class Passing:
    """The election of one cluster on its way; every step can be done again after a crash."""

    def __init__(self, ground: Ground, layout: Layout) -> None:
        self._ground = ground
        self._layout = layout

    @property
    def _kept(self) -> Path:
        return self._ground.folder / "data" / "election.kept.json"

    def leave(self) -> None:
        """Keep what the old one has, and take it away. The members must be stopped.

        Its nodes are started once more as they were placed. Raises DeadlineError when they
        have no majority; nothing is taken away then.
        """
        if not self._kept.exists():
            names = [node.name for node in self._layout.etcd]
            for name in names:
                self._ground.start(name)
            keys = self._wait_for_keys(names)
            text = json.dumps(keys, indent=2) + "\n"
            write_atomically(self._kept, text, mode=0o600, owner=self._ground.account)
        for node in self._layout.etcd:
            self._ground.stop(node.name)
            shutil.rmtree(node.data / "member", ignore_errors=True)

    def _wait_for_keys(self, names: list[str]) -> dict[str, str]:
        what = f"a majority of the election without TLS ({', '.join(names)}) to answer"
        try:
            return wait_until(self._read, what, ANSWER_SECONDS)
        except DeadlineError as error:
            logs = ", ".join(str(self._ground.log(name)) for name in names)
            raise DeadlineError(
                error.message, remedy=f"nothing was taken away: see {logs}; then run `naru up`"
            ) from None

    def arrive(self) -> None:
        """Put it into the new one, which must run, before any member does."""
        restore_keys(self._layout, json.loads(self._kept.read_text()))

    def forget(self) -> None:
        """The members have found it: nothing is kept any more."""
        self._kept.unlink(missing_ok=True)

    def _read(self) -> dict[str, str] | None:
        for node in self._layout.etcd:
            with suppress(OSError, ValueError):
                return key_values(_ask(node.address, node.client_port, range_of(self._layout)))
        return None


def _ask(host: str, port: int, document: dict[str, str]) -> dict[str, Any]:
    """As a majority has it: etcd answers a range only when it knows that of itself."""
    request = urllib.request.Request(
        f"http://{host}:{port}/v3/kv/range", json.dumps(document).encode(), method="POST"
    )
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(request, timeout=_SECONDS) as answer:
        found: dict[str, Any] = json.load(answer)
    return found
