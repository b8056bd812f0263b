"""What the user declares in naru.toml, checked at the edge. An empty file is the reference lab."""

from __future__ import annotations

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

__all__ = [
    "BackupSpec",
    "EnvironmentSpec",
    "GroundSpec",
    "ServiceSpec",
    "SourceSpec",
    "Spec",
    "TrafficSpec",
    "find_spec",
    "load",
]
