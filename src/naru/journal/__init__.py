"""Durable state: runs, their steps, events, figures and samples, in one SQLite file.

What reports and consoles read. Secrets never go in.
"""

from __future__ import annotations

from naru.journal.steps import Step, perform
from naru.journal.store import FILE, Event, Figure, Journal, Run, Sample, StepState

__all__ = ["FILE", "Event", "Figure", "Journal", "Run", "Sample", "Step", "StepState", "perform"]
