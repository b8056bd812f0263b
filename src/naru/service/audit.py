"""Who connected, and who changed what and when: by pgaudit, or by PostgreSQL's own log."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from naru.postgres import Installation, has_extension
from naru.spec import Spec

Kind = Literal["pgaudit", "log"]

_SESSIONS = {"log_connections": "on", "log_disconnections": "on"}
_CHANGES = frozenset(
    {"CREATE", "ALTER", "DROP", "GRANT", "REVOKE", "TRUNCATE", "COMMENT", "SECURITY", "REASSIGN"}
)


def kind_for(installation: Installation) -> Kind:
    """By what that PostgreSQL can be audited."""
    return "pgaudit" if has_extension(installation, "pgaudit") else "log"


def kind_of(spec: Spec, installation: Installation) -> Kind | None:
    """By what the service of `spec` is audited; None when it is not."""
    return kind_for(installation) if spec.service.audit else None


def settings_for(kind: Kind, major: int) -> dict[str, str]:
    """The settings that make the log. It is written by the collector, beside the usual one."""
    destination = "stderr,jsonlog" if major >= 15 else "stderr,csvlog"
    common = {**_SESSIONS, "log_destination": destination}
    if kind == "log":
        return {**common, "log_statement": "ddl"}
    return {
        **common,
        "shared_preload_libraries": "pgaudit",
        "pgaudit.log": "ddl, role, write",
        "pgaudit.log_catalog": "off",
        "pgaudit.log_relation": "on",
    }


def audited_by(spec: Spec, installation: Installation) -> str:
    """In a sentence, what is audited and by what."""
    kind = kind_of(spec, installation)
    if kind is None:
        return "audit: off"
    where = "in each member's log, as JSON" if installation.major >= 15 else "in CSV logs"
    if kind == "pgaudit":
        return f"audit: pgaudit: connections, definitions, roles and changed rows, {where}"
    return (
        f"audit: PostgreSQL's own log: connections and definitions (not changed rows), {where};"
        f" pgaudit is not installed with this PostgreSQL {installation.version[0]}"
    )


@dataclass(frozen=True)
class AuditLine:
    """One thing that somebody did."""

    at: str
    """As the server wrote it, in its time zone."""
    member: str
    user: str
    database: str
    client: str
    what: str

    def to_json(self) -> dict[str, Any]:
        """One element of the document of `naru service audit --json`."""
        return asdict(self)


def read_audit(logs: Iterable[tuple[str, Path]], *, last: int = 100) -> list[AuditLine]:
    """The last audited lines of the members' logs, oldest first: pairs of member and folder."""
    found = [line for member, folder in logs for line in _lines(member, folder)]
    return sorted(found, key=lambda line: line.at)[-last:]


def _lines(member: str, folder: Path) -> Iterator[AuditLine]:
    for path in sorted(folder.glob("postgresql-*.json")):
        with path.open(encoding="utf-8", errors="replace") as file:
            for text in file:
                line = audited(member, text)
                if line is not None:
                    yield line


def audited(member: str, text: str) -> AuditLine | None:
    """From one line of a JSON log what it audits; None when it is about something else."""
    try:
        entry = json.loads(text)
    except ValueError:  # it is being written, or was cut off
        return None
    message = str(entry.get("message", ""))
    if not _is_audit(message) or str(entry.get("user", "")).startswith("naru_"):
        return None
    return AuditLine(
        at=str(entry.get("timestamp", "")),
        member=member,
        user=str(entry.get("user", "")),
        database=str(entry.get("dbname", "")),
        client=str(entry.get("remote_host", "")),
        what=_short(message),
    )


def _is_audit(message: str) -> bool:
    if message.startswith(("AUDIT: ", "connection authorized", "disconnection: ")):
        return True
    head, _, statement = message.partition(": ")
    return (head == "statement" or head.startswith("execute ")) and (
        statement.lstrip().split(" ", 1)[0].upper().rstrip(";") in _CHANGES
    )


def _short(message: str) -> str:
    text = " ".join(message.split())
    return text if len(text) <= 300 else f"{text[:299]}…"
