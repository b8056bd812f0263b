"""What changing a key of naru.toml does to an environment that exists already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Effect = Literal["none", "reload", "settings", "restart", "anew", "members", "stopped", "fixed"]
"""`none`: nothing that runs changes. `reload`: in force at once, nobody is interrupted.
`settings`: PostgreSQL settings follow from it, each with its own effect. `restart`: members are
restarted one by one. `anew`: the whole service stops and starts, once. `members`: members or nodes
of the election come or go. `stopped`: only while the environment is down. `fixed`: decided when
the environment was made."""

WORDS: Mapping[Effect, str] = {
    "none": "nothing that runs changes",
    "reload": "at once",
    "settings": "by its settings: at once, or by restarting members one by one",
    "restart": "members are restarted one by one",
    "anew": "the service stops and starts once: clients of the pool wait about 15 seconds, sessions"
    " at its own address end",
    "members": "by `naru service scale`",
    "stopped": "only while it is down: `naru down`, `naru up`",
    "fixed": "fixed once it is made",
}
"""Each effect in words, for plans and for the reference."""


@dataclass(frozen=True)
class Change:
    """What a changed key does, and for what is fixed the way that leads there."""

    effect: Effect
    way: str = ""


_ANEW = "`naru down --purge` removes the environment with its data; then `naru up`"
_STOPPED = Change("stopped", "`naru down`, then `naru up`")
_UPGRADE = "`naru service upgrade --to VERSION`"

CHANGES: Mapping[str, Change] = {
    "environment.name": Change("none"),
    "environment.private_domain": Change("none"),
    "ground.kind": Change("fixed", _ANEW),
    "ground.network": Change("fixed", _ANEW),
    "ground.account": Change("fixed", _ANEW),
    "ground.postgres": Change("none"),
    "source.host": _STOPPED,
    "source.port": _STOPPED,
    "source.database": Change("none"),
    "source.superuser": Change("fixed", _ANEW),
    "source.version": Change("fixed", _ANEW),
    "source.scale": Change("none", "content that is there stays as it is"),
    "source.seed": Change("none", "content that is there stays as it is"),
    "service.cluster_name": Change("fixed", "make another environment, and migrate into it"),
    "service.server_prefix": Change("fixed", "make another environment, and migrate into it"),
    "service.version": Change("fixed", _UPGRADE),
    "service.host": _STOPPED,
    "service.port": _STOPPED,
    "service.read_port": _STOPPED,
    "service.allowed": Change("reload"),
    "service.server_type": Change("settings"),
    "service.memory_share": Change("settings"),
    "service.data_gb": Change("settings"),
    "service.ha": Change("fixed", "make another environment, and migrate into it"),
    "service.members": Change("members", "`naru service scale` adds and removes members"),
    "service.skip_members": Change("members", "`naru service scale` adds and removes members"),
    "service.read_lag_mb": Change("reload"),
    "service.read_lag_seconds": Change("reload"),
    "service.first_member": Change("fixed", _ANEW),
    "service.first_number": Change("fixed", "a major upgrade changes it by itself"),
    "service.own_port": _STOPPED,
    "service.etcd_host": Change("fixed", _ANEW),
    "service.etcd_members": Change("members", "`naru service scale` adds and removes them"),
    "service.database": Change("fixed", "CREATE DATABASE makes another one"),
    "service.user": Change("fixed", "CREATE ROLE makes another one"),
    "service.password": Change("reload"),
    "service.encoding": Change("fixed", "CREATE DATABASE … ENCODING makes a database of another"),
    "service.locale": Change("fixed", "CREATE DATABASE … LOCALE makes a database of another"),
    "service.timezone": Change("settings"),
    "service.audit": Change("settings"),
    "service.parameter_group": Change("settings"),
    "service.settings": Change("settings"),
    "parameter_group": Change("settings"),
    "maintenance.enabled": Change("none"),
    "maintenance.day": Change("none"),
    "maintenance.start": Change("none"),
    "maintenance.hours": Change("none"),
    "backup.enabled": Change("reload"),
    "backup.host": _STOPPED,
    "backup.start_hour": Change("reload"),
    "backup.archive_minutes": Change("reload"),
    "backup.retention_days": Change("reload"),
    "backup.full_every_days": Change("reload"),
    "backup.first_restored": _STOPPED,
    "backup.restored": Change("none"),
    "traffic.host": _STOPPED,
    "traffic.port": _STOPPED,
    "traffic.pool_size": Change("reload"),
    "traffic.max_clients": Change("reload"),
}
"""By key. A key that is not here is taken over by `naru up` at once."""


def change_of(key: str) -> Change:
    """What changing `key` does; a key within a table of settings counts as the table."""
    parts = key.split(".")
    for length in range(len(parts), 0, -1):
        found = CHANGES.get(".".join(parts[:length]))
        if found is not None:
            return found
    return Change("reload")
