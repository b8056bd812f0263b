"""etcd, which holds the election: how it is started, and whether it is well."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from naru.service import rest
from naru.service.layout import EtcdNode


def etcd_command(
    binary: Path, node: EtcdNode, peers: Sequence[EtcdNode], token: str, *, joined: bool = False
) -> tuple[str, ...]:
    """What to run for one node. `peers`: with whom it begins; `joined`: at a cluster there is.

    The timings allow for a disk that several servers share: losing etcd's leader to one
    slow fsync would be worse than noticing a dead one a second later. They are the same
    for one node and for three, so that none has to be restarted when others come.
    """
    return (
        str(binary),
        f"--name={node.name}",
        f"--data-dir={node.data}",
        f"--listen-client-urls={node.client_url}",
        f"--advertise-client-urls={node.client_url}",
        f"--listen-peer-urls={node.peer_url}",
        f"--initial-advertise-peer-urls={node.peer_url}",
        # Read anew at every handshake, but for what is trusted. It has no other lock on its door.
        f"--cert-file={node.pair}",
        f"--key-file={node.pair}",
        f"--trusted-ca-file={node.authority}",
        "--client-cert-auth",
        f"--peer-cert-file={node.pair}",
        f"--peer-key-file={node.pair}",
        f"--peer-trusted-ca-file={node.authority}",
        "--peer-client-cert-auth",
        "--initial-cluster=" + ",".join(f"{one.name}={one.peer_url}" for one in peers),
        f"--initial-cluster-state={'existing' if joined else 'new'}",
        f"--initial-cluster-token={token}",
        "--heartbeat-interval=300",
        "--election-timeout=3000",
        "--auto-compaction-mode=periodic",
        "--auto-compaction-retention=1h",
        "--enable-v2=false",
        "--logger=zap",
        "--log-level=warn",
    )


def is_healthy(node: EtcdNode, seconds: float = 2.0) -> bool:
    """True when the node answers and its cluster has a leader."""
    answer = rest.get(node.door, "/health", seconds)
    return (
        answer is not None
        and isinstance(answer.document, dict)
        and answer.document.get("health") == "true"
    )
