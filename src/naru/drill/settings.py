"""What a workload is told, and what it tells, in the files of its folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from naru.drill.business import LEDGER_ALONE, Business
from naru.errors import UsageError
from naru.postgres import Dsn
from naru.system import write_atomically

SETTINGS = "workload.json"
STATUS = "status.json"
STOP = "stop"
LOG = "log"
PASSFILE = "passfile"

LONGEST_SECONDS = 6 * 3600.0


@dataclass(frozen=True)
class WorkloadSettings:
    """A workload: who it is to whom, how many, how fast."""

    dsn: Dsn
    run: str
    """Tells its ledger rows from those of other workloads."""
    clients: int = 8
    rate: float = 250.0
    """Transactions a second over all clients together."""
    business: Business = LEDGER_ALONE
    seconds: float = LONGEST_SECONDS
    """It ends by itself after this, should nobody stop it."""
    readers: Mapping[str, Dsn] = field(default_factory=dict)
    """Endpoints to read at beside, by name, as the same role; see `naru.drill.reads`."""

    def check(self) -> None:
        """Raise UsageError for what cannot be run."""
        if self.clients < 1 or self.rate <= 0:
            raise UsageError("a workload needs at least one client and a rate above 0")

    def save(self, folder: Path) -> None:
        """Write them to `folder`; a password goes into a passfile of its own there."""
        passfile = folder / PASSFILE
        if password := self.dsn.parameters.get("password"):
            word = password.replace("\\", "\\\\").replace(":", "\\:")
            write_atomically(passfile, f"*:*:*:*:{word}\n", mode=0o600)
        document = {
            "dsn": dict(_without_password(self.dsn, passfile).parameters),
            "readers": {
                name: dict(_without_password(one, passfile).parameters)
                for name, one in self.readers.items()
            },
            "run": self.run,
            "clients": self.clients,
            "rate": self.rate,
            "business": self.business.to_json(),
            "seconds": self.seconds,
        }
        write_atomically(folder / SETTINGS, json.dumps(document, indent=2) + "\n", mode=0o600)

    @classmethod
    def load(cls, folder: Path) -> WorkloadSettings:
        """Read what `save` wrote. Raises UsageError when `folder` holds no workload."""
        try:
            document = json.loads((folder / SETTINGS).read_text())
        except OSError as error:
            raise UsageError(f"{folder} holds no workload: {error.strerror}") from error
        return cls(
            Dsn(document["dsn"]),
            document["run"],
            document["clients"],
            document["rate"],
            Business.from_json(document["business"]),
            document["seconds"],
            {name: Dsn(one) for name, one in document["readers"].items()},
        )


def _without_password(dsn: Dsn, passfile: Path) -> Dsn:
    if "password" not in dsn.parameters:
        return dsn
    return dsn.with_(password=None, passfile=str(passfile))


@dataclass(frozen=True)
class WorkloadStatus:
    """How far a workload is, as it said last; `state` is `starting`, `running` or `stopped`."""

    state: str = "starting"
    pid: int = 0
    at: float = 0.0
    acknowledged: int = 0
    failed: int = 0
    unknown: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    """How often each kind of error came: SQLSTATE or its name."""

    def save(self, folder: Path) -> None:
        write_atomically(folder / STATUS, json.dumps(asdict(self)) + "\n")

    @classmethod
    def load(cls, folder: Path) -> WorkloadStatus:
        try:
            document: dict[str, Any] = json.loads((folder / STATUS).read_text())
        except FileNotFoundError:
            return cls()
        return cls(**document)
