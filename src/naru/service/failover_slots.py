"""Whether a logical consumer's slot is on every standby, so that a failover keeps it."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from naru.errors import UnreachableError
from naru.postgres import Dsn, connect, fetch_value

# Before 17 Patroni copies a slot; it can be used once the primary holds back what it needs.
_COPIED_SLOT = """
SELECT catalog_xmin IS NOT NULL AND confirmed_flush_lsn IS NOT NULL
FROM pg_replication_slots WHERE slot_name = %s
"""
_SYNCED_SLOT = """
SELECT synced AND NOT temporary AND invalidation_reason IS NULL
FROM pg_replication_slots WHERE slot_name = %s
"""


def on_all(standbys: Sequence[Dsn], slot: str, *, hasten: bool) -> bool:
    """True when every one of `standbys`, and there are some, could go on with `slot`.

    `hasten`: one that does not know the slot looks for it at once.
    """
    have = [_has(standby, slot, hasten) for standby in standbys]
    return bool(have) and all(have)


def _has(standby: Dsn, slot: str, hasten: bool) -> bool:
    with contextlib.suppress(UnreachableError):
        with connect(standby, purpose="slots") as connection:
            newer = connection.info.server_version >= 170000
            synced = fetch_value(connection, _SYNCED_SLOT if newer else _COPIED_SLOT, [slot])
            if newer and synced is None and hasten:
                connection.execute("SELECT pg_reload_conf()")
            return bool(synced)
    return False
