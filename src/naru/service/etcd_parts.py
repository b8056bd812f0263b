"""The election's nodes as programs on a ground: which run, how they start, when they are well."""

from __future__ import annotations

from dataclasses import replace

from naru.ground import Ground, Program
from naru.service import etcd, etcd_members
from naru.service.clusters import base_name
from naru.service.layout import EtcdNode, Layout, etcd_node_of
from naru.service.membership import IN, JOINING, MembershipFile, Seat
from naru.spec import Spec
from naru.system import discard, need_program

ETCD_SECONDS = 30


class EtcdParts:
    """Places nodes of the election as the membership has them; harmless for what runs so."""

    def __init__(self, spec: Spec, ground: Ground, layout: Layout) -> None:
        self._spec = spec
        self._ground = ground
        self._layout = layout
        self._membership = MembershipFile(spec, ground)

    def place(self) -> None:
        """All that do not run at once, since only a majority is well; then one after the other.

        Where nobody has any data they begin together. One that alone has lost its own comes
        anew: by itself it would begin an election of its own.
        """
        voters = self._membership.read().voters
        lost = [number for number in voters if not self._has_data(number)]
        if len(lost) == len(voters):
            self._begin_anew()
        seats = self._membership.read().etcd
        if len(lost) == len(voters) or not self._has_elected:
            placed, lost = [n for n, seat in seats.items() if seat.state != JOINING], []
        else:
            # One that leaves may have a vote as long as its data are there.
            placed = [n for n, seat in seats.items() if self._runs_again(n, seat)]
        for number in placed:
            if self._ground.pid(self._node(number).name) is None:
                self.place_node(number)
        for number in placed:
            self.place_node(number)
            if seats[number].state == IN:
                self.wait_for(number)
        for number in lost:
            self._take_vote(number)
            self.join(number)

    def _begin_anew(self) -> None:
        """Have those with a vote begin together; whoever was on the way is forgotten."""
        membership = self._membership.read()
        begun = {number: Seat(membership.voters) for number in membership.voters}
        for number in membership.etcd.keys() - begun.keys():
            self._ground.remove(self._node(number).name)
            discard(self._node(number).data)
        if begun != membership.etcd:
            self._membership.write(replace(membership, etcd=begun))

    def _take_vote(self, number: int) -> None:
        """Of one that has lost its data. Noted last: whoever is noted as joining has no vote."""
        membership, node = self._membership.read(), self._node(number)
        self._ground.stop(node.name)
        etcd_members.remove(self._voters(), node)
        seat = Seat((*(n for n in membership.voters if n != number), number), True, JOINING)
        self._membership.write(membership.with_etcd(number, seat))

    def join(self, number: int) -> None:
        """Have a node that was noted as joining come, and wait until it has its vote."""
        membership, node = self._membership.read(), self._node(number)
        voters = [voter for voter in membership.voters if voter != number]
        for voter in voters:
            self.wait_for(voter)
        etcd_members.add_learner([self._node(voter) for voter in voters], node)
        self.place_node(number)
        # Noted before it has its vote: from then on no start may leave it out.
        seat = membership.etcd[number]
        self._membership.write(membership.with_etcd(number, Seat(seat.peers, joined=True)))
        self.wait_for(number)

    @property
    def _has_elected(self) -> bool:
        """Whether a cluster had its first primary: before that nobody can have lost anything."""
        return any((self._ground.folder / "data").glob("*.founded"))

    def _runs_again(self, number: int, seat: Seat) -> bool:
        return seat.state != JOINING and self._has_data(number)

    def _has_data(self, number: int) -> bool:
        return (self._node(number).data / "member").exists()

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
            return etcd.is_healthy(node) and etcd_members.votes(self._voters(), node)

        self._ground.wait(node.name, well, f"{node.name} to be well", ETCD_SECONDS)

    def _voters(self) -> list[EtcdNode]:
        return [self._node(voter) for voter in self._membership.read().voters]

    def _node(self, number: int) -> EtcdNode:
        return etcd_node_of(self._spec, self._ground, number)
