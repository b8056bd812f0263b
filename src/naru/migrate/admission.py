"""Whether a migration may begin: the assessment, turned into a yes or a no."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from naru.errors import RefusedError
from naru.migrate.assess import Assessment, assess
from naru.postgres import Dsn
from naru.system import SILENT, Observer


def admit(
    source: Dsn,
    target: Dsn,
    *,
    jobs: int = 2,
    source_seen_at: str | None = None,
    programs: Sequence[Path] = (),
    databases: int = 1,
    observer: Observer = SILENT,
) -> Assessment:
    """Assess both sides, and note what is a warning. `databases` begin together, this one too.

    Raises RefusedError with every blocking finding and its remedy; nothing was changed.
    """
    assessment = assess(
        source, target, jobs=jobs, source_seen_at=source_seen_at, programs=programs,
        measure=False, databases=databases, observer=observer,
    )  # fmt: skip
    blocking = [one for one in assessment.findings if one.severity == "blocking"]
    if blocking:
        listed = "".join(f"\n  {one.code} {one.object}: {one.text}" for one in blocking)
        remedies = [one.remedy for one in blocking if one.remedy]
        raise RefusedError(
            f"{source} cannot be brought across yet:{listed}",
            remedy="; ".join(remedies) or "see docs/reference/findings.md",
        )
    for one in assessment.findings:
        if one.severity == "warning":
            observer.note(f"{one.object}: {one.text}")
    return assessment
