"""Who has a vote in the election: nodes of etcd that come, get their vote, and leave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from naru.errors import ServerError, UnreachableError
from naru.service import rest
from naru.service.etcd import is_healthy
from naru.service.layout import EtcdNode
from naru.system import wait_until

LEARNER = "not supported for learner"
"""What a node without a vote says to most that it is asked."""

CHANGE_SECONDS = 60
_SECONDS = 10.0


@dataclass(frozen=True)
class EtcdMember:
    """A node as its cluster knows it; `learner`: it has the data but no vote yet."""

    id: str
    peer_url: str
    learner: bool


def members(nodes: Sequence[EtcdNode]) -> tuple[EtcdMember, ...]:
    """All that the cluster knows, as a healthy one of `nodes` says. Raises UnreachableError."""
    answer = _call(nodes, "cluster/member/list", {})
    return tuple(
        EtcdMember(str(one["ID"]), str(one["peerURLs"][0]), bool(one.get("isLearner")))
        for one in answer.get("members", ())
    )


def add_learner(nodes: Sequence[EtcdNode], new: EtcdNode) -> None:
    """Let `new` come without a vote, so that nothing waits for it. Harmless when it is known."""
    if _find(nodes, new) is None:
        document = {"peerURLs": [new.peer_url], "isLearner": True}
        _change(nodes, "cluster/member/add", document)


def votes(nodes: Sequence[EtcdNode], node: EtcdNode) -> bool:
    """Whether `node` has a vote; a learner is given it, once it has caught up."""
    try:
        found = _find(nodes, node)
        if found is not None and found.learner:
            others = [one for one in nodes if one != node]
            _call(others, "cluster/member/promote", {"ID": found.id})
    except (ServerError, UnreachableError):
        return False
    return found is not None


def remove(nodes: Sequence[EtcdNode], node: EtcdNode) -> None:
    """Take the vote of `node`; the rest of `nodes` decides. Harmless when it has none."""
    others = [one for one in nodes if one != node]
    found = _find(others, node)
    if found is not None:
        _change(others, "cluster/member/remove", {"ID": found.id})


def hand_lead_to(nodes: Sequence[EtcdNode], kept: EtcdNode) -> None:
    """Let `kept` lead the election's store, so that taking others away interrupts nothing."""
    wanted = _find(nodes, kept)
    for node in filter(is_healthy, nodes):
        answer = rest.post(node.door, "/v3/maintenance/status", {}, seconds=_SECONDS)
        status = answer.document if isinstance(answer.document, dict) else {}
        leads = status.get("leader") == (status.get("header") or {}).get("member_id")
        if leads and wanted is not None and status.get("leader") != wanted.id:
            _one(node, "maintenance/transfer-leadership", {"targetID": wanted.id})


def _find(nodes: Sequence[EtcdNode], wanted: EtcdNode) -> EtcdMember | None:
    return next((one for one in members(nodes) if one.peer_url == wanted.peer_url), None)


def _change(nodes: Sequence[EtcdNode], what: str, document: Mapping[str, Any]) -> None:
    """Change who belongs. For 5 s after another change the cluster refuses: it wants to have
    seen all of its nodes for so long."""

    def changed() -> bool:
        try:
            _call(nodes, what, document)
        except ServerError as error:
            if "unhealthy cluster" in error.message:
                return False
            raise
        return True

    wait_until(changed, f"the election to take {what}", CHANGE_SECONDS, every=0.5)


def _call(nodes: Sequence[EtcdNode], what: str, document: Mapping[str, Any]) -> dict[str, Any]:
    for node in filter(is_healthy, nodes):
        try:
            return _one(node, what, document)
        except ServerError as error:
            # Who has no vote yet answers nothing of this, and calls itself healthy.
            if LEARNER not in error.message:
                raise
    names = ", ".join(node.name for node in nodes)
    raise UnreachableError(
        f"the election (etcd: {names}) has no majority", remedy="see `naru service status`"
    )


def _one(node: EtcdNode, what: str, document: Mapping[str, Any]) -> dict[str, Any]:
    answer = rest.post(node.door, f"/v3/{what}", document, seconds=_SECONDS)
    if answer.status != 200 or not isinstance(answer.document, dict):
        raise ServerError(
            f"{node.name} refused {what}: {answer.document}",
            remedy=f"see the log of {node.name} (`naru status`), and run the same command again",
        )
    return answer.document
