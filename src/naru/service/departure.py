"""What a member leaves behind in the cluster, and how it is forgotten."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import Any

from naru.errors import NaruError, ServerError, UnreachableError
from naru.postgres import connect, fetch_value
from naru.service.cluster import Service
from naru.service.election import forget_member, read_keys
from naru.service.layout import NAMESPACE, Layout, Node
from naru.service.status import is_primary
from naru.system import wait_until

LEFT_SECONDS = 60

SLOT_SECONDS = 60
_TTL = "member_slots_ttl"
_HAS_SLOT = "SELECT 1 FROM pg_replication_slots WHERE slot_name = %s"


def must_have_left(layout: Layout, name: str) -> None:
    """Let the election forget member `name`, whose programs have ended, and wait until nobody
    counts on it."""
    prefix = f"{NAMESPACE}{layout.cluster}/"

    def left() -> bool:
        with contextlib.suppress(ServerError, UnreachableError):
            forget_member(layout, name)
            keys = read_keys(layout)
            sync = json.loads(keys.get(f"{prefix}sync", "{}"))
            named = str(sync.get("sync_standby") or "").split(",")
            return f"{prefix}members/{name}" not in keys and name not in named
        return False

    wait_until(left, f"{name} to have left the cluster", LEFT_SECONDS)


def forget_slot(service: Service, layout: Layout, slot: str) -> None:
    """Let no node of `layout` keep WAL for a member that has left.

    Patroni keeps the slot of a member that is away for half an hour. That is told to end at
    once, until the slot is gone; meanwhile the slots of others that are away go as well.
    """
    try:
        if _kept_by(service, layout, slot):
            _patch(service, layout, 1)
        wait_until(
            lambda: not _kept_by(service, layout, slot),
            f"the slot {slot} to be gone from every member",
            SLOT_SECONDS,
            every=0.5,
        )
    finally:
        # Also where somebody was cut off before it.
        _patch(service, layout, None)


def _patch(service: Service, layout: Layout, seconds: int | None) -> None:
    def told() -> bool:
        for node in layout.nodes:
            if is_primary(node):
                return _took(service, node, {_TTL: seconds})
        return False

    what = f"a primary of cluster {layout.cluster} to take {_TTL}"
    wait_until(told, what, SLOT_SECONDS, every=0.5)


def _took(service: Service, node: Node, change: Mapping[str, Any]) -> bool:
    """False where somebody else changed it just then, or the election was slow to answer."""
    try:
        service.command(node.name, "PATCH", "/config", change, seconds=10)
    except UnreachableError:
        return False
    except ServerError as error:
        if " 409 " not in error.message:
            raise
        return False
    return True


def _kept_by(service: Service, layout: Layout, slot: str) -> list[str]:
    """The members that still have the slot; those that do not answer have no say."""
    return [node.name for node in layout.nodes if _has(service, node, slot)]


def _has(service: Service, node: Node, slot: str) -> bool:
    with contextlib.suppress(NaruError):
        with connect(service.member(node.name, "postgres"), purpose="scale", seconds=3) as line:
            return bool(fetch_value(line, _HAS_SLOT, [slot]))
    return False
