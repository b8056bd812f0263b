"""The election's nodes as programs on a ground: which run, how they start, when they are well."""

from __future__ import annotations

from naru.ground import Ground, Program
from naru.service import etcd, etcd_members
from naru.service.clusters import base_name
from naru.service.layout import EtcdNode, Layout, etcd_node_of
from naru.service.membership import IN, JOINING, MembershipFile
from naru.spec import Spec
from naru.system import need_program

ETCD_SECONDS = 30


class EtcdParts:
    """Places nodes of the election as the membership has them; harmless for what runs so."""

    def __init__(self, spec: Spec, ground: Ground, layout: Layout) -> None:
        self._spec = spec
        self._ground = ground
        self._layout = layout
        self._membership = MembershipFile(spec, ground)

    def place(self) -> None:
        """All that do not run at once, since only a majority is well; then one after the other."""
        seats = self._membership.read().etcd
        placed = [number for number, seat in seats.items() if seat.state != JOINING]
        for number in placed:
            if self._ground.pid(self._node(number).name) is None:
                self.place_node(number)
        for number in placed:
            self.place_node(number)
            if seats[number].state == IN:
                self.wait_for(number)

    def place_node(self, number: int) -> None:
        """Have the election's node of one number running."""
        node, seat = self._node(number), self._membership.read().etcd[number]
        self._ground.data_folder(node.name)
        argv = etcd.etcd_command(
            need_program("etcd"),
            node,
            [self._node(peer) for peer in seat.peers],
            base_name(self._layout.cluster),
            joined=seat.joined,
        )
        self._ground.place(Program(node.name, node.host, argv, priority=100))

    def wait_for(self, number: int) -> None:
        """Until it is well; one that only listens so far is given its vote."""
        node = self._node(number)

        def well() -> bool:
            return etcd.is_healthy(node) and etcd_members.votes(self._layout.etcd, node)

        self._ground.wait(node.name, well, f"{node.name} to be well", ETCD_SECONDS)

    def _node(self, number: int) -> EtcdNode:
        return etcd_node_of(self._spec, self._ground, number)
