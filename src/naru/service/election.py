"""What a cluster has in its election's store (etcd): read, and put back."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from naru.errors import ServerError, UnreachableError
from naru.service import rest
from naru.service.etcd import is_healthy
from naru.service.etcd_members import LEARNER
from naru.service.layout import NAMESPACE, Layout

_SECONDS = 10.0
_PASSING = ("leader", "members/", "failsafe", "optime/")
"""Keys that live only as long as whoever wrote them."""


def read_keys(layout: Layout) -> dict[str, str]:
    """All keys of the cluster with their values. Raises UnreachableError without a majority."""
    return key_values(_call(layout, "range", range_of(layout)))


def key_values(answer: Mapping[str, Any]) -> dict[str, str]:
    """The keys with their values, from etcd's answer to a range."""
    return {_plain(one["key"]): _plain(one.get("value", "")) for one in answer.get("kvs", ())}


def restore_keys(
    layout: Layout, keys: Mapping[str, str], *, only: tuple[str, ...] | None = None
) -> None:
    """Put back what `read_keys` gave, without what only a running cluster has, and no others;
    with `only` nothing but those."""
    _call(layout, "deleterange", range_of(layout))
    prefix = _prefix(layout)
    for key, value in keys.items():
        name = key.removeprefix(prefix)
        if name in only if only is not None else not name.startswith(_PASSING):
            _call(layout, "put", {"key": _coded(key), "value": _coded(value)})


def known_names(layout: Layout) -> frozenset[str]:
    """The cluster's keys without what they all begin with: `leader`, `members/NAME` …"""
    prefix = _prefix(layout)
    return frozenset(key.removeprefix(prefix) for key in read_keys(layout))


def leader_of(layout: Layout) -> str | None:
    """Who holds the lead in the store; None when nobody does."""
    return read_keys(layout).get(f"{_prefix(layout)}leader")


def forget_member(layout: Layout, name: str) -> None:
    """Take away the key of a member whose programs were stopped; by itself it goes with its
    lease of 20 s. No lock hangs on it."""
    key = _coded(f"{_prefix(layout)}members/{name}")
    _call(layout, "deleterange", {"key": key})


def _prefix(layout: Layout) -> str:
    return f"{NAMESPACE}{layout.cluster}/"


def range_of(layout: Layout) -> dict[str, str]:
    """What to ask etcd for all keys of the cluster."""
    prefix = _prefix(layout)
    # etcd's way to say "all that begins with": up to the prefix with its last byte increased.
    end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
    return {"key": _coded(prefix), "range_end": _coded(end)}


def _call(layout: Layout, what: str, document: Mapping[str, str]) -> dict[str, Any]:
    for node in layout.etcd:
        if is_healthy(node):
            answer = rest.post(node.door, f"/v3/kv/{what}", document, seconds=_SECONDS)
            if LEARNER in str(answer.document):
                continue
            if answer.status != 200 or not isinstance(answer.document, dict):
                raise ServerError(f"{node.name} refused {what}: {answer.document}")
            return answer.document
    raise UnreachableError(
        f"the election of cluster {layout.cluster} (etcd) has no majority",
        remedy="see `naru service status`",
    )


def _coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _plain(text: str) -> str:
    return base64.b64decode(text).decode()
