"""Which PostgreSQL settings the spec asks for, and where each of them comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from naru.service import audit, patroni
from naru.service.server_type import ServerType, settings_of_data, settings_of_type
from naru.spec import Spec

GUARDED = "default_transaction_read_only"
"""What the guard of the data's size sets; nobody else does."""


@dataclass(frozen=True)
class Assigned:
    """A setting's value, and what in naru.toml (or Naru itself) gives it."""

    value: str
    source: str


def assigned(spec: Spec, major: int, audited_by: audit.Kind | None = None) -> dict[str, Assigned]:
    """Every setting that Naru gives the whole cluster; a later layer wins over an earlier one.

    The layers: Naru's own, the server type, the data's size, the time zone, the audit, the
    parameter group, `[service.settings]`. Libraries to preload are added up.
    """
    service = spec.service
    base = patroni.dynamic_configuration(major, {}, backup=spec.backup.enabled)
    layers: list[tuple[str, Mapping[str, str]]] = [
        ("Naru", base["postgresql"]["parameters"]),
        (
            f"server_type {service.server_type}",
            settings_of_type(ServerType.named(service.server_type), service.memory_share),
        ),
        ("data_gb", settings_of_data(service.data_gb)),
        ("timezone", {"timezone": service.timezone, "log_timezone": service.timezone}),
        ("audit", audit.settings_for(audited_by, major) if audited_by else {}),
        (
            f"parameter_group {service.parameter_group}",
            spec.parameter_group.get(service.parameter_group, {}),
        ),
        ("service.settings", service.settings),
    ]
    found: dict[str, Assigned] = {}
    for source, settings in layers:
        for name, value in settings.items():
            found[name] = Assigned(_joined(name, found.get(name), value), source)
    return found


def overlay(spec: Spec, major: int, audited_by: audit.Kind | None = None) -> dict[str, str]:
    """The same as plain settings, as Patroni is told them."""
    return {name: one.value for name, one in assigned(spec, major, audited_by).items()}


def _joined(name: str, before: Assigned | None, value: str) -> str:
    if name != "shared_preload_libraries" or before is None:
        return value
    libraries = [word.strip() for text in (before.value, value) for word in text.split(",")]
    return ",".join(dict.fromkeys(word for word in libraries if word))
