"""The settings in force at a member, each with where it comes from and what it is for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from naru.postgres import Dsn, connect, fetch_all
from naru.service.audit import kind_of
from naru.service.cluster import Service
from naru.service.observing import configured_parameters
from naru.service.parameters import GUARDED, Assigned, assigned
from naru.spec import Spec

_QUERY = """
SELECT lower(name), current_setting(name), source, context, short_desc, pending_restart
FROM pg_settings ORDER BY lower(name)
"""
_BY_SOURCE = {
    "default": "PostgreSQL",
    "override": "PostgreSQL",
    "dynamic default": "PostgreSQL",
    "environment variable": "PostgreSQL",
    "client": "this session",
    "session": "this session",
    "configuration file": "Patroni, or by hand",
    "command line": "Patroni",
    "database": "the database",
    "user": "the role",
    "database user": "the role in the database",
}


@dataclass(frozen=True)
class Setting:
    """One setting as a member has it."""

    name: str
    value: str
    source: str
    """What in naru.toml gives it, or `Naru`, `PostgreSQL` (its default), `Patroni` …"""
    description: str
    context: str
    pending_restart: bool
    """Another value is configured, and waits for a restart."""
    wanted: str | None = None
    """What the spec asks for, when that is not what is configured."""

    def to_json(self) -> dict[str, Any]:
        """One element of the document of `naru service settings --json`."""
        return asdict(self)


def settings_of(spec: Spec, service: Service, name: str) -> list[Setting]:
    """Every setting in force at node `name`, with where it comes from. Raises UnreachableError."""
    installation = service.installation
    given = assigned(spec, installation.major, kind_of(spec, installation))
    there = configured_parameters(service.layout) or {}
    return _in_force(service.member(name, "postgres"), given, there)


def _in_force(
    member: Dsn,
    assigned: Mapping[str, Assigned],
    configured: Mapping[str, str],
) -> list[Setting]:
    """`given` by the spec; `configured`: what the cluster's configuration has now."""
    with connect(member, purpose="settings") as connection:
        rows = fetch_all(connection, _QUERY)
    return [_setting(row, assigned, configured) for row in rows]


def _setting(
    row: tuple[Any, ...], assigned: Mapping[str, Assigned], configured: Mapping[str, str]
) -> Setting:
    name, value, source, context, description, pending = row
    given = assigned.get(name)
    wanted = None
    if given is not None and configured.get(name) != given.value:
        wanted = given.value
    elif given is None and name in configured and name != GUARDED:
        wanted = "default"
    return Setting(
        name, value, _origin(name, source, given, configured), description, context, pending, wanted
    )


def _origin(name: str, source: str, given: Assigned | None, configured: Mapping[str, str]) -> str:
    if name == GUARDED and name in configured:
        return "the guard of service.data_gb"
    if given is not None and source in {"configuration file", "command line", "default"}:
        return given.source
    return _BY_SOURCE.get(source, source)
