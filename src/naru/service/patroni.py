"""Patroni's configuration, as JSON (which is YAML): fast, and strict about what is acknowledged."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from naru.ground import OWN_MACHINE
from naru.service.layout import (
    BACKUP_SLOT,
    BACKUP_USER,
    NAMESPACE,
    REPLICATION_USER,
    REST_USER,
    REWIND_USER,
    SUPERUSER,
    Layout,
    Node,
)
from naru.service.onhost.keeping import DRIVER as WATCHDOG

# Every setting that migration needs in either direction, and what recovery time rests on. What
# depends on the size of server and data is in `server_type`.
SETTINGS: Mapping[str, str] = {
    "wal_level": "logical",
    "max_wal_senders": "30",
    "max_replication_slots": "30",
    "max_logical_replication_workers": "16",
    "max_sync_workers_per_subscription": "4",
    "max_prepared_transactions": "50",
    "max_locks_per_transaction": "256",
    "hot_standby_feedback": "on",
    "wal_log_hints": "on",
    "wal_sender_timeout": "5s",
    "wal_receiver_timeout": "5s",
    "wal_retrieve_retry_interval": "500ms",
    "checkpoint_timeout": "5min",
    "password_encryption": "scram-sha-256",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "logging_collector": "on",
    "log_filename": "postgresql-%a.log",
    "log_rotation_age": "1d",
    "log_rotation_size": "0",
    "log_truncate_on_rotation": "on",
    "log_line_prefix": "%m [%p] %q%u@%d ",
}
# These came with PostgreSQL 17.
_SETTINGS_17: Mapping[str, str] = {"sync_replication_slots": "on", "summarize_wal": "off"}


@dataclass(frozen=True)
class Passwords:
    """What Patroni logs in with."""

    superuser: str = field(repr=False)
    replication: str = field(repr=False)
    rewind: str = field(repr=False)
    rest: str = field(repr=False)


def hba(endpoint: str, *, backup: bool) -> list[str]:
    """Who may log in to a member: over TLS alone, and from the environment's own hosts alone.

    `endpoint` is the address from which HAProxy comes, for clients; it checks theirs.
    """
    users = (
        f"replication {REPLICATION_USER}",
        *([f"replication {BACKUP_USER}"] * backup),
        "all all",
    )
    return [
        f"hostssl {who} {address}/32 scram-sha-256"
        for who in users
        for address in dict.fromkeys((OWN_MACHINE, endpoint))
    ]


def dynamic_configuration(
    major: int,
    settings: Mapping[str, str],
    *,
    endpoint: str = OWN_MACHINE,
    backup: bool = False,
    alone: bool = False,
) -> dict[str, Any]:
    """What holds for the whole cluster; kept in the election's store.

    `backup`: with a slot, on every member, that keeps WAL until it has been received. `alone`:
    there is one member and no standby, so that no commit waits for any.

    `loop_wait + 2 * retry_timeout <= ttl`, with Patroni's least ttl of 20 s. A primary
    whose server died gives up its lock at once (`primary_start_timeout` 0). Strict quorum
    commit: nothing is acknowledged before a standby has it, and if there is none, writes wait.
    """
    newer = dict(_SETTINGS_17) if major >= 17 else {}
    if backup and newer:
        newer["summarize_wal"] = "on"
    return {
        **({"slots": {BACKUP_SLOT: {"type": "physical"}}} if backup else {}),
        "ttl": 20,
        "loop_wait": 1,
        "retry_timeout": 3,
        "primary_start_timeout": 0,
        "primary_stop_timeout": 5,
        "maximum_lag_on_failover": 1048576,
        "synchronous_mode": False if alone else "quorum",
        "synchronous_mode_strict": not alone,
        "synchronous_node_count": 1,
        "failsafe_mode": True,
        "check_timeline": True,
        # Slots of logical consumers belong to them: Patroni never drops one.
        "ignore_slots": [{"type": "logical", "plugin": "pgoutput"}],
        "postgresql": {
            "use_pg_rewind": True,
            "use_slots": True,
            "parameters": {**SETTINGS, **newer, **settings},
            "pg_hba": hba(endpoint, backup=backup),
        },
    }


def render(
    layout: Layout,
    node: Node,
    *,
    bin_folder: Path,
    callback: Path | None,
    major: int,
    passwords: Passwords,
    settings: Mapping[str, str],
    encoding: str,
    locale: str,
    backup: bool = False,
    alone: bool = False,
) -> str:
    """The configuration file of one node. It holds passwords: write it with mode 0600."""
    document = {
        "scope": layout.cluster,
        "namespace": NAMESPACE,
        "name": node.name,
        # Not Patroni's: for the program around it, see `onhost.member`.
        "naru": {
            "members": [one.name for one in layout.nodes],
            "read_lag": asdict(layout.read_lag),
        },
        "log": {"level": "INFO", "deduplicate_heartbeat_logs": True},
        "restapi": {
            "listen": f"{node.address}:{node.rest_port}",
            "connect_address": f"{node.address}:{node.rest_port}",
            "authentication": {"username": REST_USER, "password": passwords.rest},
            "certfile": str(node.pair),
            "keyfile": str(node.pair),
        },
        # How members call each other.
        "ctl": {"cacert": str(node.authority)},
        "etcd3": {
            "hosts": [f"{one.address}:{one.client_port}" for one in layout.etcd],
            "protocol": "https",
            "cacert": str(node.authority),
            "cert": str(node.pair),
            "key": str(node.pair),
        },
        "bootstrap": {
            "dcs": dynamic_configuration(
                major, settings, endpoint=layout.address, backup=backup, alone=alone
            ),
            "initdb": [{"encoding": encoding}, {"locale": locale}, "data-checksums", "no-sync"],
        },
        # Five seconds before the lock could be another's, the server is gone.
        "watchdog": {
            "mode": "required",
            "driver": WATCHDOG,
            "safety_margin": 5,
            "lease": str(node.lease),
            "data": str(node.data),
        },
        "postgresql": {
            "listen": f"{node.address}:{node.port}",
            "connect_address": f"{node.address}:{node.port}",
            "data_dir": str(node.data),
            "bin_dir": str(bin_folder),
            "pgpass": str(node.config.parent / f"{node.name}.pgpass"),
            "use_unix_socket": False,
            "use_unix_socket_repl": False,
            "authentication": {
                "superuser": _login(SUPERUSER, passwords.superuser, node),
                "replication": _login(REPLICATION_USER, passwords.replication, node),
                "rewind": _login(REWIND_USER, passwords.rewind, node),
            },
            # What a failed primary alone has was never acknowledged: it may be replaced.
            "remove_data_directory_on_rewind_failure": True,
            "remove_data_directory_on_diverged_timelines": True,
            "callbacks": {
                event: f"/bin/sh {shlex.quote(str(callback))}"
                for event in (("on_start", "on_role_change") if callback else ())
            },
            "basebackup": [{"checkpoint": "fast"}, "no-sync"],
            "parameters": _own_settings(layout, node, major),
        },
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def is_plain(config: Path) -> bool:
    """True if that configuration is of before the election's store was reached over TLS."""
    try:
        document = json.loads(config.read_text())
    except OSError:
        return False
    return bool(document["etcd3"].get("protocol") != "https")


def _login(user: str, password: str, node: Node) -> dict[str, str]:
    trust = {"sslmode": "verify-full", "sslrootcert": str(node.authority)}
    return {"username": user, "password": password, **trust}


_CALLBACK = """#!/bin/sh
# Run by Patroni as: event role cluster. A primary that comes back as a standby still has its
# failover slots as they were; they would hold back WAL and stop the synchronization of slots.
[ "$2" = replica ] || exit 0
export PGPASSFILE={passfile} PGCONNECT_TIMEOUT=2 PGSSLMODE=verify-full PGSSLROOTCERT={authority}
for attempt in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    {psql} -X -q -h {address} -p {port} -U {user} -d postgres -f {sql} >/dev/null && exit 0
    sleep 1
done
"""

DROP_STALE_SLOTS = """SELECT pg_drop_replication_slot(slot_name)
FROM pg_replication_slots
WHERE pg_is_in_recovery() AND slot_type = 'logical' AND failover AND NOT synced AND NOT active;
"""


def render_callback(node: Node, *, bin_folder: Path, passfile: Path, sql: Path) -> str:
    """The script that Patroni runs when a node of version 17 or newer changes its role."""
    return _CALLBACK.format(
        passfile=shlex.quote(str(passfile)),
        authority=shlex.quote(str(node.authority)),
        psql=shlex.quote(str(bin_folder / "psql")),
        address=node.address,
        port=node.port,
        user=SUPERUSER,
        sql=shlex.quote(str(sql)),
    )


def _own_settings(layout: Layout, node: Node, major: int) -> dict[str, str]:
    settings = {
        "unix_socket_directories": "",
        "log_directory": str(node.logs),
        # Here, so that a member has it from its start, whatever the election's store still says.
        "ssl": "on",
        "ssl_min_protocol_version": "TLSv1.2",
        "ssl_cert_file": str(node.pair),
        "ssl_key_file": str(node.pair),
    }
    if major >= 17:
        # A logical consumer may not get ahead of a standby that could become the primary.
        others = (one.slot for one in layout.nodes if one != node and one.counts)
        settings["synchronized_standby_slots"] = ",".join(others)
    return settings
