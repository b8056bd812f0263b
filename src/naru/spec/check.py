"""From what was declared to a Spec, or to a list of what is wrong with it."""

from __future__ import annotations

import difflib
import ipaddress
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from naru.spec.model import ServiceSpec, Spec
from naru.spec.numbers import MOST_MEMBERS, member_numbers
from naru.spec.rules import Rule, is_lab_address

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong: where, and what is allowed there."""

    path: Path
    text: str

    @property
    def key(self) -> str:
        """The key's full name: `service.members`."""
        return ".".join(str(part) for part in self.path)


def check(declared: Mapping[str, Any]) -> Spec | list[Fault]:
    """The Spec that `declared` makes, or every fault in it."""
    try:
        spec = Spec.model_validate(declared)
    except ValidationError as error:
        details = [dict(detail) for detail in error.errors(include_url=False)]
        return [fault for detail in details for fault in _faults(detail)]
    faults = list(_conflicts(spec))
    return faults or spec


def field_of(path: Path) -> FieldInfo | None:
    """The declaration of a key; None when there is no such key."""
    model: Any = Spec
    field: FieldInfo | None = None
    for part in path:
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            return field
        field = model.model_fields.get(str(part))
        if field is None:
            return None
        model = field.annotation
    return field


def allowed(field: FieldInfo) -> str:
    """What a key's value may be, in words."""
    for item in field.metadata:
        if isinstance(item, Rule):
            return item.allowed
    annotation = field.annotation
    if get_origin(annotation) is Literal:
        return " or ".join(_show(value) for value in get_args(annotation))
    if get_origin(annotation) is tuple:
        return _allowed_in_list(annotation)
    if annotation is bool:
        return "true or false"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "a table"
    return "a text"


def _allowed_in_list(annotation: Any) -> str:
    for item in getattr(get_args(annotation)[0], "__metadata__", ()):
        if isinstance(item, Rule):
            return f"a list; each {item.allowed}"
    return "a list of texts"


def _faults(detail: Mapping[str, Any]) -> list[Fault]:
    if detail["type"] == "parts":
        parts: Mapping[str, str] = detail["ctx"]["parts"]
        return [Fault((*detail["loc"], name), why) for name, why in parts.items()]
    return [_fault(detail)]


def _fault(detail: Mapping[str, Any]) -> Fault:
    path: Path = detail["loc"]
    if detail["type"] == "extra_forbidden":
        return Fault(path, _unknown(path))
    field = field_of(path)
    if field is None:
        return Fault(path, str(detail["msg"]))
    shown = "this value" if _is_secret(field) else _show(detail["input"])
    return Fault(path, f"{shown} is not allowed; allowed: {allowed(field)}")


def _unknown(path: Path) -> str:
    parent: Any = Spec
    if len(path) > 1:
        field = field_of(path[:-1])
        parent = field.annotation if field is not None else None
    known = list(parent.model_fields) if hasattr(parent, "model_fields") else []
    near = difflib.get_close_matches(str(path[-1]), known, n=1)
    if near:
        return f"is not known; did you mean {near[0]}?"
    return f"is not known; there are {', '.join(known)}"


def _is_secret(field: FieldInfo) -> bool:
    return SecretStr in (field.annotation, *get_args(field.annotation))


def _show(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"' if len(value) <= 60 else f'"{value[:57]}…"'
    if isinstance(value, Mapping):
        return "this table"
    return "this list" if isinstance(value, list) else str(value)


def _backup_hosts(spec: Spec) -> list[tuple[Path, str, int]]:
    """Hosts that only an environment with backups has."""
    backup = spec.backup
    if not backup.enabled:
        return []
    return [
        (("backup", "host"), backup.host, 1),
        (("backup", "first_restored"), backup.first_restored, backup.restored),
    ]


def _first_member(service: ServiceSpec) -> str:
    return str(ipaddress.IPv4Address(service.first_member) + service.first_number - 1)


def _span(spec: Spec) -> int:
    """How many addresses from the first on the members take, with those of skipped numbers."""
    return max(member_numbers(spec), default=0) - spec.service.first_number + 1


def _conflicts(spec: Spec) -> Iterator[Fault]:
    """What is wrong only together: addresses used twice, ports at odds, a pool too wide."""
    service, traffic = spec.service, spec.traffic
    hosts: list[tuple[Path, str, int]] = [
        (("source", "host"), spec.source.host, 1),
        (("service", "host"), service.host, 1),
        (("service", "first_member"), _first_member(service), _span(spec)),
        (("service", "etcd_host"), service.etcd_host, service.etcd_members),
        (("traffic", "host"), traffic.host, 1),
        *_backup_hosts(spec),
    ]
    users: dict[str, list[Path]] = defaultdict(list)
    for path, first, count in hosts:
        for step in range(count):
            address = str(ipaddress.IPv4Address(first) + step)
            if not is_lab_address(address):
                yield Fault(path, f"{count} hosts from {first} on leave the subnet at {address}")
                break
            users[address].append(path)
    for address, paths in users.items():
        for path in paths[1:]:
            yield Fault(path, f"the address {address} is taken by {'.'.join(map(str, paths[0]))}")
    own = {service.own_port, service.own_port + 1}
    if own & {service.port, service.read_port}:
        yield Fault(("service", "own_port"), "and the next port must differ from the service's")
    if len(member_numbers(spec)) < service.member_count:
        yield Fault(
            ("service", "skip_members"),
            f"leaves too few of {MOST_MEMBERS} numbers for {service.member_count} members",
        )
    if service.read_port == service.port:
        yield Fault(("service", "read_port"), "must differ from service.port")
    if service.parameter_group and service.parameter_group not in spec.parameter_group:
        known = ", ".join(spec.parameter_group) or "none"
        text = f"there is no [parameter_group.{service.parameter_group}]; there are: {known}"
        yield Fault(("service", "parameter_group"), text)
    if traffic.pool_size > traffic.max_clients:
        yield Fault(("traffic", "pool_size"), "may not be more than traffic.max_clients")
