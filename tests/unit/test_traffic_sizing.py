"""Whether the pools fit into the server is decided from facts alone."""

from __future__ import annotations

from dataclasses import replace

from naru.traffic import PoolUse, SizingFacts, judge_sizing

POOL = PoolUse("cedb", "cedbadmin", 20, 8, 0, 5, 8, 0.0)
WELL = SizingFacts((POOL, replace(POOL, user="app")), 9, 500, 300, 3, 12)


def test_pools_that_fit_are_told_with_what_there_is() -> None:
    found = judge_sizing(WELL)
    assert (found.demand, found.available, found.warnings) == (40, 297, ())
    assert "2 pools may ask for 40 of 297 connections (300 less 3 reserved)" in found.sentence
    assert "9 of 500 clients" in found.sentence


def test_pools_that_do_not_fit_are_warned_of_with_the_keys_to_change() -> None:
    found = judge_sizing(replace(WELL, max_connections=40))
    (warning,) = found.warnings
    assert "traffic.pool_size = 18 or less" in warning
    assert "max_connections = 43 or more" in warning
    assert judge_sizing(replace(WELL, max_connections=43)).warnings == ()


def test_the_last_tenth_of_the_clients_is_warned_of() -> None:
    (warning,) = judge_sizing(replace(WELL, clients=450)).warnings
    assert "traffic.max_clients" in warning
    assert judge_sizing(replace(WELL, clients=449)).warnings == ()


def test_clients_that_wait_for_long_are_named() -> None:
    waiting = replace(POOL, clients_waiting=3, max_wait=2.5)
    (warning,) = judge_sizing(replace(WELL, pools=(waiting,))).warnings
    assert "3 clients of cedb as cedbadmin wait, one for 2.5 s" in warning


def test_without_any_pool_there_is_nothing_to_warn_of() -> None:
    assert judge_sizing(replace(WELL, pools=())).warnings == ()
