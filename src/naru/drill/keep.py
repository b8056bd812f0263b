"""What a workload measured, kept in the journal under the names that the report reads."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from naru.drill.gaps import commits_within
from naru.drill.records import IDS_PER_CLIENT
from naru.drill.series import read_series
from naru.journal import Run, Sample

_MOST_COMMITS = 20_000


def keep_series(
    run: Run, folder: Path, start: float | None = None, end: float | None = None
) -> None:
    """Commits, errors and latency by 100 ms, as samples `workload`."""
    run.add_samples(
        "workload",
        (
            Sample(one.at, {k: v for k, v in asdict(one).items() if k != "at"})
            for one in read_series(folder, start, end)
        ),
    )


def keep_commits(run: Run, folder: Path, around: str, start: float, end: float) -> None:
    """The single commits within a few seconds, as one sample `commit-times`, for a close look.

    A commit is its end, its client and how long it took from when it was due, in ms.
    """
    commits: list[list[float]] = []
    for record in commits_within(folder, start, end):
        commits.append(
            [round(record.done, 4), record.id // IDS_PER_CLIENT, round(record.latency_ms, 2)]
        )
        if len(commits) >= _MOST_COMMITS:
            break
    run.sample("commit-times", at=start, around=around, commits=commits)
