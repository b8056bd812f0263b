"""What the user declares in naru.toml, checked at the edge. An empty file is the reference lab."""

from __future__ import annotations

from naru.spec.edit import edit_spec
from naru.spec.load import find_spec, load
from naru.spec.model import (
    BackupSpec,
    EnvironmentSpec,
    GroundSpec,
    ServiceSpec,
    SourceSpec,
    Spec,
    TrafficSpec,
)
from naru.spec.numbers import (
    MOST_MEMBERS,
    etcd_numbers,
    member_numbers,
    numbers_for_etcd,
    numbers_for_members,
)

__all__ = [
    "MOST_MEMBERS",
    "BackupSpec",
    "EnvironmentSpec",
    "GroundSpec",
    "ServiceSpec",
    "SourceSpec",
    "Spec",
    "TrafficSpec",
    "edit_spec",
    "etcd_numbers",
    "find_spec",
    "load",
    "member_numbers",
    "numbers_for_etcd",
    "numbers_for_members",
]
