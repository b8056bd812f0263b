"""Members and nodes of the election that come and go while clients are at work.

Every step can be run again: what was done before is found and left. Nobody is asked to
wait for a member that has not been seen to follow, and nothing of one that leaves is
deleted before the cluster has forgotten it.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from functools import partial

from naru.errors import NaruError, RefusedError
from naru.ground import etcd_host, member_host
from naru.journal import FILE, Journal, Run, Step, perform
from naru.service import etcd_members
from naru.service.cluster import Service
from naru.service.clusters import read_clusters
from naru.service.copying import size_of, watch_copy
from naru.service.departure import forget_slot, must_have_left
from naru.service.layout import Layout, etcd_node_of, node_of
from naru.service.membership import IN, JOINING, LEAVING, Membership, Seat
from naru.service.scale import ScaleFacts, ScalePlan
from naru.service.status import SYNCHRONOUS
from naru.service.switchover import Hold, plan_switchover, switch_over
from naru.service.wanted import wanted_of, was_cut_off
from naru.spec import numbers_for_etcd, numbers_for_members
from naru.system import SILENT, Observer, discard, is_locked, locked, wait_until

LOCK = "scale.lock"
SETTLE_SECONDS = 60
OTHER_SECONDS = 5


def observe_scale(service: Service) -> ScaleFacts:
    """Who belongs to the running service, and how they are.

    Raises RefusedError in an upgrade, and while nobody has noted who belongs.
    """
    _must_be_alone(service)
    if not service.membership.exists:
        cluster = service.spec.service.cluster_name
        raise RefusedError(
            f"who belongs to {cluster} was never noted: an older naru made it",
            remedy="run `naru up` once, with members and etcd_members as they were; then scale",
        )
    membership, status, spec = service.membership.read(), service.status(), service.spec

    def named(number: int) -> str:
        return etcd_host(spec, number).name

    voters, learners = tuple(map(named, membership.voters)), _learners(service)
    return ScaleFacts(
        cluster=status.cluster,
        members=tuple(member_host(spec, number).name for number in membership.members),
        unfinished=tuple(
            member_host(spec, number).name
            for number, state in membership.members.items()
            if state != IN
        ),
        primary=status.primary.name if status.primary else None,
        confirming=tuple(
            one.name
            for one in status.members
            if one.role in SYNCHRONOUS and one.state == "streaming"
        ),
        etcd=tuple(name for name in voters if name not in learners),
        etcd_unfinished=tuple(
            name for name in map(named, membership.etcd) if name not in voters or name in learners
        ),
        etcd_healthy=tuple(one.name for one in status.etcd if one.healthy),
        paused=status.paused,
        copy_bytes=size_of(service),
        free_bytes=shutil.disk_usage(service.ground.folder).free,
    )


def unfinished_scale(service: Service) -> tuple[str, ...]:
    """What of the members and of the election is not as naru.toml asks for: a sentence each."""
    found = tuple(_unfinished(service))
    journal = service.ground.folder / FILE
    if not found and journal.exists():
        with Journal.in_folder(journal.parent) as opened:
            if was_cut_off(opened):
                return ("the last scale did not come to its end",)
    return found


def _unfinished(service: Service) -> Iterator[str]:
    spec, membership = service.spec, service.membership.read()
    wanted = wanted_of(spec)
    members = {member_host(spec, n).name: state for n, state in membership.members.items()}
    etcd = {etcd_host(spec, n).name: seat.state for n, seat in membership.etcd.items()}
    for what, should, are in (
        ("members", wanted.members, members),
        ("nodes of the election", wanted.etcd, etcd),
    ):
        if set(should) != are.keys():
            yield f"{what} are {', '.join(are)}, and naru.toml asks for {', '.join(should)}"
        for name, state in are.items():
            if state != IN:
                yield f"{name} was cut off while {state}"
    if is_locked(service.ground.folder / LOCK):
        yield "somebody is at it now"


def _must_be_alone(service: Service) -> None:
    clusters = read_clusters(service.ground.folder)
    if clusters is not None and clusters.beside is not None:
        raise RefusedError(
            f"an upgrade is under way: {clusters.live.name} serves, with {clusters.beside.name}"
            " beside it: nobody comes or goes until it is over",
            remedy="see `naru service upgrade`; end it by --finish or --abort, then scale",
        )


def _learners(service: Service) -> set[str]:
    """Nodes of the election without a vote so far."""
    nodes = service.layout.etcd
    with contextlib.suppress(NaruError):
        known = {one.peer_url: one.learner for one in etcd_members.members(nodes)}
        return {node.name for node in nodes if known.get(node.peer_url)}
    return set()


def scale(
    service: Service,
    plan: ScalePlan,
    hold: Callable[[], Hold],
    run: Run,
    *,
    observer: Observer = SILENT,
) -> None:
    """Carry out `plan`, each step noted in `run`; `hold` keeps clients waiting in a switchover.

    When it was cut off, plan again and call it again, also with a plan that is empty by now: it
    goes on where it was, and in the end every part is told once more who belongs.
    """
    work = _Scaling(service, hold, observer)
    with locked(service.ground.folder / LOCK, "another scale", OTHER_SECONDS):
        _must_be_alone(service)
        perform(run, work.steps(plan), tell=lambda step, state: observer.step(step.title, state))


class _Scaling:
    def __init__(self, service: Service, hold: Callable[[], Hold], observer: Observer) -> None:
        self._service = service
        self._hold = hold
        self._observer = observer
        self._file = service.membership
        spec = service.spec
        self._members = {member_host(spec, n).name: n for n in numbers_for_members(spec)}
        self._etcd = {etcd_host(spec, n).name: n for n in numbers_for_etcd()}

    def steps(self, plan: ScalePlan) -> list[Step]:
        """The plan's steps, in order."""
        found = [
            Step(f"join-{name}", f"{name} joins the election", partial(self._join, name))
            for name in plan.etcd_add
        ]
        if plan.etcd_add:
            found.append(Step("hosts", "members learn of the election's nodes", self._configure))
        found += [
            Step(f"add-{name}", f"{name} follows", partial(self._add, name)) for name in plan.add
        ]
        if plan.enter is not None:
            title = f"{plan.enter} takes over"
            found.append(Step("switchover", title, partial(self._switch, plan)))
        found += [
            Step(f"remove-{name}", f"{name} leaves", partial(self._remove, name))
            for name in plan.remove
        ]
        found += [
            Step(f"leave-{name}", f"{name} leaves the election", partial(self._leave, name))
            for name in plan.etcd_remove
        ]
        # Whoever was cut off between noting a change and telling it is made good here.
        return [*found, Step("settle", "every part knows who belongs", self._settle)]

    # Members

    def _add(self, name: str) -> None:
        number = self._members[name]
        self._file.write(self._membership.with_member(number, JOINING))
        layout = self._layout
        node = next(one for one in layout.nodes if one.name == name)
        parts = self._service.parts(layout)
        parts.place_member(node, parts.passwords())
        parts.place_guardian()
        watch_copy(self._service, name, self._observer)
        wait_until(lambda: self._confirms(name), f"{name} to confirm commits", SETTLE_SECONDS)
        self._file.write(self._membership.with_member(number, IN))
        self._settle()

    def _confirms(self, name: str) -> bool:
        """As a synchronous standby; or it has been made the primary meanwhile."""
        return any(
            one.name == name
            and (one.role == "primary" or (one.role in SYNCHRONOUS and one.state == "streaming"))
            for one in self._service.status().members
        )

    def _switch(self, plan: ScalePlan) -> None:
        status = self._service.status()
        if status.primary is not None and status.primary.name != plan.leave:
            return
        switch = plan_switchover(status, plan.enter)
        switch_over(self._service, switch, self._hold(), observer=self._observer)

    def _remove(self, name: str) -> None:
        number, ground = self._members[name], self._service.ground
        node = node_of(self._service.spec, ground, number)
        after = self._membership.without_member(number)
        layout = self._service.layout_with(after)
        self._must_not_lead(name)
        self._file.write(self._membership.with_member(number, LEAVING))
        parts = self._service.parts(layout)
        parts.place_haproxy(self._service.takes_writes)
        parts.configure_members(parts.passwords())
        ground.stop(name)
        must_have_left(self._service.layout, name)
        # Watched until it has left: if it led after all, its lock is not waited for.
        parts.place_guardian()
        forget_slot(self._service, layout, node.slot)
        ground.remove(name)
        discard(node.data.parent)
        for path in (node.lease, *node.config.parent.glob(f"{name}.*")):
            path.unlink(missing_ok=True)
        ground.certificates.forget(name)
        self._file.write(after)
        self._service.guard_storage()

    def _must_not_lead(self, name: str) -> None:
        status = self._service.status()
        others = [one for one in status.members if one.name != name]
        if status.primary is None or status.primary.name == name:
            raise RefusedError(
                f"{name} is not taken away: it leads, or nobody does",
                remedy="see `naru service status`; run the same command again",
            )
        if not any(one.role in SYNCHRONOUS and one.state == "streaming" for one in others):
            raise RefusedError(
                f"{name} is not taken away: no other synchronous standby follows, and writes"
                " would wait",
                remedy="see `naru service status`; run the same command again",
            )

    # The election

    def _join(self, name: str) -> None:
        number = self._etcd[name]
        seat = self._membership.etcd.get(number)
        if seat is None or seat.state == LEAVING:
            if seat is not None:
                self._leave(name)
            seat = Seat((*self._membership.voters, number), joined=True, state=JOINING)
            self._file.write(self._membership.with_etcd(number, seat))
        self._service.parts(self._layout).election.join(number)

    def _leave(self, name: str) -> None:
        number, ground = self._etcd[name], self._service.ground
        node = etcd_node_of(self._service.spec, ground, number)
        seat = self._membership.etcd.get(number)
        if seat is None:
            return
        if seat.state == IN:
            self._file.write(
                self._membership.with_etcd(number, Seat(seat.peers, seat.joined, LEAVING))
            )
        kept = self._layout.etcd
        self._configure()
        etcd_members.hand_lead_to((*kept, node), kept[0])
        etcd_members.remove(kept, node)
        ground.remove(name)
        discard(node.data)
        ground.certificates.forget(name)
        # They still know it, and would ask it first.
        self._configure(always=True)
        self._file.write(self._membership.without_etcd(number))

    # Both

    def _configure(self, *, always: bool = False) -> None:
        """Let members and the guardian know who belongs now."""
        parts = self._service.parts(self._layout)
        parts.configure_members(parts.passwords(), always=always)
        parts.place_guardian()

    def _settle(self) -> None:
        """Let the endpoints and the guard of the data's size know it too; harmless when they do."""
        self._configure(always=True)
        self._service.parts(self._layout).place_haproxy(self._service.takes_writes)
        self._service.guard_storage()

    @property
    def _membership(self) -> Membership:
        return self._file.read()

    @property
    def _layout(self) -> Layout:
        return self._service.layout
