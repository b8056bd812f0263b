"""The leader's lock in etcd: who holds it, and taking exactly that lock away."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SECONDS = 1.0


@dataclass(frozen=True)
class Lock:
    """The lock as it was read: whoever writes it anew gives it another revision."""

    holder: str
    revision: str


@dataclass(frozen=True)
class Election:
    """What etcd said. A majority of it did: its reads are linearizable."""

    lock: Lock | None
    paused: bool


class Etcd:
    """Calls to whichever node of etcd answers."""

    def __init__(
        self, nodes: Sequence[tuple[str, int]], prefix: str, tls: Mapping[str, str] | None = None
    ) -> None:
        self._nodes = list(nodes)
        self._prefix = prefix
        self._context = _context(tls) if tls else None

    def read(self) -> Election | None:
        """None when no node answers, or none has a majority behind it."""
        leader, config = self._prefix + "leader", self._prefix + "config"
        ranges = [{"request_range": {"key": _coded(key)}} for key in (leader, config)]
        answer = self._call("txn", {"success": ranges})
        if answer is None:
            return None
        found = [one.get("response_range", {}).get("kvs", []) for one in answer["responses"]]
        lock = [Lock(_plain(one["value"]), str(one["mod_revision"])) for one in found[0]]
        return Election(lock[0] if lock else None, any(_pauses(one["value"]) for one in found[1]))

    def free(self, lock: Lock) -> bool:
        """Delete the lock if it is still that one; True if it was."""
        key = _coded(self._prefix + "leader")
        document = {
            "compare": [
                {"key": key, "target": "MOD", "mod_revision": lock.revision},
                {"key": key, "target": "VALUE", "value": _coded(lock.holder)},
            ],
            "success": [{"request_delete_range": {"key": key}}],
        }
        answer = self._call("txn", document)
        return answer is not None and bool(answer.get("succeeded"))

    def _call(self, what: str, document: Mapping[str, Any]) -> dict[str, Any] | None:
        for node in list(self._nodes):
            try:
                answer = self._post(node, f"/v3/kv/{what}", json.dumps(document))
            except (OSError, http.client.HTTPException, ValueError):
                # Ask another one first the next time.
                self._nodes.append(self._nodes.pop(self._nodes.index(node)))
                continue
            if "responses" in answer or "header" in answer:
                return answer
        return None

    def _post(self, node: tuple[str, int], path: str, body: str) -> dict[str, Any]:
        host, port = node
        line = (
            http.client.HTTPSConnection(host, port, timeout=SECONDS, context=self._context)
            if self._context
            else http.client.HTTPConnection(host, port, timeout=SECONDS)
        )
        try:
            line.request("POST", path, body)
            answer: dict[str, Any] = json.loads(line.getresponse().read())
        finally:
            line.close()
        return answer


def _context(tls: Mapping[str, str]) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=tls["ca"])
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if "certificate" in tls:
        context.load_cert_chain(tls["certificate"], tls["key"])
    return context


def _pauses(value: str) -> bool:
    try:
        return bool(json.loads(_plain(value)).get("pause"))
    except ValueError:
        return False


def _coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _plain(text: str) -> str:
    return base64.b64decode(text).decode()
