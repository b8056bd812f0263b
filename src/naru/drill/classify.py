"""What an error means for the transaction it ended."""

from __future__ import annotations

from naru.drill.records import Outcome

_CONNECTION = ("08", "57P")
"""Classes of SQLSTATE that say the connection is gone, whatever became of the work."""


def classify(*, commit_sent: bool, sqlstate: str | None) -> Outcome:
    """Decide what a client may conclude from an error.

    Before COMMIT was sent nothing can have been committed. Afterwards only an answer of
    the server itself, with an SQLSTATE that is not about the connection, means no.
    """
    if not commit_sent:
        return Outcome.NOT_COMMITTED
    if sqlstate is not None and not sqlstate.startswith(_CONNECTION):
        return Outcome.NOT_COMMITTED
    return Outcome.UNKNOWN


def classify_answer(tag: str | None, *, sync_wait_cut: bool) -> Outcome:
    """Decide from the answer to COMMIT: its tag, and whether a warning said that the wait
    for the standby was cut short (then a failover may still lose it)."""
    if tag == "COMMIT":
        return Outcome.UNKNOWN if sync_wait_cut else Outcome.ACKNOWLEDGED
    return Outcome.NOT_COMMITTED if tag == "ROLLBACK" else Outcome.UNKNOWN
