"""What `naru up` was last done with: kept in the state folder, written whole, without secrets."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from naru.ground import Ground
from naru.spec import Spec
from naru.system import write_atomically


@dataclass(frozen=True)
class Applied:
    """The spec as it was applied."""

    values: Mapping[str, Any]
    """By key, as `flatten` gives them."""
    parameters: Mapping[str, str]
    """The PostgreSQL settings that were asked for."""
    waiting: tuple[str, ...] = ()
    """Settings that wait for a restart."""


class AppliedFile:
    """Where that is kept."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    @property
    def _path(self) -> Path:
        return self._ground.folder / "data" / "applied.json"

    def read(self) -> Applied | None:
        """What was applied last; None before the first `up`, and for an older environment."""
        try:
            document = json.loads(self._path.read_text())
        except FileNotFoundError:
            return None
        return Applied(document["spec"], document["parameters"], tuple(document["waiting"]))

    def write(self, applied: Applied) -> None:
        """Note what is in force, or waits for a restart, from now on."""
        document = {
            "at": round(time.time(), 3),
            "spec": applied.values,
            "parameters": applied.parameters,
            "waiting": applied.waiting,
        }
        text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        write_atomically(self._path, text, mode=0o600, owner=self._ground.account)


def flatten(spec: Spec) -> dict[str, Any]:
    """The spec by full keys, a key for each setting of a table of settings; no password."""
    document = spec.model_dump(mode="json", exclude={"service": {"password"}})
    found: dict[str, Any] = {}
    for table, values in document.items():
        for name, value in values.items():
            if isinstance(value, dict):
                found |= {f"{table}.{name}.{key}": one for key, one in value.items()}
            else:
                found[f"{table}.{name}"] = value
    return found
