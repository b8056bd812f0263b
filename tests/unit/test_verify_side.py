"""Waiting for what workers do: a failure is heard at once, whoever else still works."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor

import pytest

from naru.verify.side import results


def test_results_come_in_the_order_of_the_futures() -> None:
    with ThreadPoolExecutor(3) as pool:
        assert results(pool.submit(str, n) for n in range(20)) == [str(n) for n in range(20)]
    assert results([]) == []


def test_a_failure_is_raised_while_others_still_work() -> None:
    last = threading.Event()

    def work() -> None:
        last.wait(60)

    def fail() -> None:
        raise InterruptedError

    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(work), pool.submit(fail)]
        try:
            with pytest.raises(InterruptedError):
                results(futures)
            assert not futures[0].done()
        finally:
            last.set()


def test_what_is_cancelled_keeps_nobody_waiting() -> None:
    future: Future[None] = Future()
    future.cancel()
    with pytest.raises(CancelledError):
        results([future])
