"""Which numbers the members of the service and of the election have."""

from __future__ import annotations

from naru.spec.model import Spec

MOST_MEMBERS = 5
"""How many numbers there are for members of one cluster, and so how many members at most."""


def numbers_for_members(spec: Spec) -> range:
    """All numbers that members may have."""
    first = spec.service.first_number
    return range(first, first + MOST_MEMBERS)


def member_numbers(spec: Spec) -> tuple[int, ...]:
    """The first ones that are not skipped, as many as there are members; fewer if too many are."""
    service = spec.service
    free = [n for n in numbers_for_members(spec) if n not in service.skip_members]
    return tuple(free[: service.member_count])


def numbers_for_etcd() -> range:
    """All numbers that nodes of the election may have."""
    return range(1, 4)


def etcd_numbers(spec: Spec) -> tuple[int, ...]:
    """From 1, without a gap."""
    return tuple(range(1, spec.service.etcd_members + 1))
