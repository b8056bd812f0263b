"""From facts to findings. Pure: no server is asked anything here."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from naru.migrate import _rights_findings as rights
from naru.migrate import _schema_findings as schema
from naru.migrate import _source_findings as source
from naru.migrate import _target_findings as target
from naru.migrate.facts import Facts
from naru.migrate.findings import Finding
from naru.migrate.identity import Change, plan

_ORDER = {"blocking": 0, "warning": 1, "note": 2}

_PARTS: tuple[Callable[[Facts], Iterator[Finding]], ...] = (
    source.server, rights.source, source.replication, source.activities, source.settings,
    target.server, target.database, rights.target, target.extensions, rights.event_triggers,
    schema.identities, schema.objects,
)  # fmt: skip


def decide(facts: Facts) -> tuple[Finding, ...]:
    """All findings, the blocking ones first."""
    findings = [one for part in _PARTS for one in part(facts)]
    return tuple(sorted(findings, key=lambda one: _ORDER[one.severity]))


def identity_plan(facts: Facts) -> list[Change]:
    """Replica identities that `start` gives, each with what the table has now."""
    return plan(facts.identities)
