"""How two databases were compared, and where they stood: what a verdict says of itself."""

from __future__ import annotations

from typing import Any

from naru.postgres import Connection, fetch_value
from naru.verify.hashing import Agreement
from naru.verify.options import Options
from naru.verify.side import Side

_POSITION = (
    "SELECT (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()"
    " ELSE pg_current_wal_lsn() END)::text"
)


def describe(
    sides: tuple[Side, Side],
    connections: tuple[Connection, Connection],
    agreement: Agreement,
    options: Options,
) -> dict[str, Any]:
    """Hash, rules, versions and snapshots of a comparison."""
    versions = [str(one.info.parameter_status("server_version")) for one in connections]
    return {
        "hash": agreement.method,
        "equal": {str(rule): rule.meaning.says for rule in options.equal.rules},
        "binary_types": sorted(agreement.trusted),
        "source_version": versions[0],
        "target_version": versions[1],
        "source_snapshot": sides[0].snapshot,
        "target_snapshot": sides[1].snapshot,
    }


def positions(
    sides: tuple[Side, Side], connections: tuple[Connection, Connection], when: str
) -> dict[str, str]:
    """Where the WAL of both sides ends now, as `source_WHEN` and `target_WHEN`."""
    found = {}
    for side, connection in zip(sides, connections, strict=True):
        with side.explained("reading its position"):
            found[f"{side.name}_{when}"] = str(fetch_value(connection, _POSITION))
    return found
