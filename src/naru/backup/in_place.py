"""The whole service taken back to a moment, in its place, with the old data kept for an undo."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from naru.backup.in_place_state import InPlaceState, StateFile
from naru.backup.manager import Backups, folder_size
from naru.backup.plan import RestorePlan
from naru.backup.rebuilding import Rebuilding
from naru.backup.wal_keeping import WalKeeping, control_of
from naru.backup.waldump import Arrival
from naru.errors import DeadlineError, NaruError, RefusedError
from naru.ground import Ground
from naru.postgres import connect
from naru.service import Node, Service, read_clusters, read_keys, restore_keys
from naru.system import SILENT, Observer, step, wait_until

STANDBY_SECONDS = 24 * 3600.0
_ARRIVAL_SECONDS = 30
_COMMIT = "SELECT pg_logical_emit_message(true, 'naru', 'restored')"
_KEPT_KEYS = ("initialize", "config")
"""What of the election's store the service of another moment goes on with."""


class InPlace:
    """Restores one service in its place."""

    def __init__(
        self, ground: Ground, service: Service, backups: Backups, observer: Observer = SILENT
    ) -> None:
        self._ground = ground
        self._service = service
        self._backups = backups
        self._observer = observer
        self._wal = WalKeeping(service, backups)
        self._file = StateFile(backups.store.state / "in-place.json", ground.account)
        self._rebuilding = Rebuilding(ground, service, backups, observer)

    @property
    def state(self) -> InPlaceState | None:
        """The restore that is neither confirmed nor undone; None when there is none."""
        return self._file.read()

    def restore(self, plan: RestorePlan) -> InPlaceState:
        """Carry out `plan`: every member shows that moment, a new timeline begins.

        While the service still runs, its data of that moment are recovered beside it, so that
        nothing is touched before they stand ready. Then it is stopped, its data are put aside,
        the first member starts from the others, and the standbys are copied from it. Raises
        RefusedError before anything was done, for the reasons of `hindrances`.
        """
        self._file.must_be_free()
        found = self.hindrances(plan)
        if found:
            raise RefusedError(
                f"no restore in place now: {'; '.join(found)}",
                remedy="see to that first, or restore beside the service with --as",
            )
        now = time.time()
        begun = InPlaceState(
            id=time.strftime("%Y%m%dT%H%M%S", time.gmtime(now)),
            target=plan.target,
            backup=plan.backup.id,
            timeline=plan.timeline,
            before=self._wal.timelines(),
            times={"began": now},
        )
        return self._go_on(self._file.write(begun), plan)

    def resume(self) -> InPlaceState:
        """Go on with a restore that was cut off; harmless for one that is done."""
        state = self._file.must_exist()
        if state.step == "done":
            return state
        plan = self._backups.plan(state.target, timeline=state.timeline, from_backup=state.backup)
        return self._go_on(state, plan)

    def must_exist(self) -> None:
        """Raise RefusedError unless there is one to go on with, confirm or undo."""
        self._file.must_exist()

    def hindrances(self, plan: RestorePlan) -> list[str]:
        """Why a restore in place could not end well now."""
        found = []
        # New data for every member, beside the old ones that stay.
        needed = 1.1 * (plan.size * len(self._nodes) + plan.replay)
        free = shutil.disk_usage(self._ground.folder).free
        if free < needed:
            found.append(f"{free:,} bytes are free on the disk, and {needed:,.0f} are needed")
        found += [
            f"database {database} has the subscription {name}, which would skip what its"
            " publisher sent since then"
            for database, name in self._wal.subscriptions()
        ]
        found += [
            f"{node.name} is on its way in or out: `naru service scale` first"
            for node in self._nodes
            if not node.counts
        ]
        clusters = read_clusters(self._ground.folder)
        if clusters is not None and clusters.beside is not None:
            found.append(
                f"a major upgrade is under way, and cluster {clusters.beside.name} would not"
                " go back with this one: `naru service upgrade` says how it ends"
            )
        return found

    def _go_on(self, state: InPlaceState, plan: RestorePlan) -> InPlaceState:
        # All there is, to the last commit, is there only once nobody commits any more.
        late = plan.target.kind == "latest"
        if state.step == "begun":
            try:
                if not late:
                    self._rebuilding.prepare(plan, state.id)
                state = self._stop(state)
                if late:
                    self._rebuilding.prepare(plan, state.id)
                state = self._swap(state)
            except Exception:
                self._observer.note("the service is put back as it was")
                self.undo()
                raise
        state = self._open(state)
        with step(self._observer, "restore: every member in its place"):
            self._service.up()
            self._backups.up()
            self._backups.keeping.want_full()
        return self._file.reached(state, "whole", step="done")

    def _stop(self, state: InPlaceState) -> InPlaceState:
        """Stop the members, and let their last WAL arrive."""
        with step(self._observer, "restore: service stopped"):
            keys = state.keys or read_keys(self._service.layout)
            state = self._file.reached(state, "stopping", keys=keys)
            primary = self._service.stop_members()
            if primary is not None:
                self._let_arrive(primary)
            self._backups.stop()
        return self._file.reached(state, "stopped")

    def _let_arrive(self, primary: str) -> None:
        node = next(one for one in self._nodes if one.name == primary)
        control = control_of(self._service.installation, node.data)
        wanted = Arrival(control.timeline, control.checkpoint)
        try:
            wait_until(
                lambda: self._backups.received() > wanted,
                f"the last WAL of {primary} to arrive",
                _ARRIVAL_SECONDS,
            )
        except DeadlineError as error:
            self._observer.note(f"{error.message}; it is kept with that member's old data")

    def _swap(self, state: InPlaceState) -> InPlaceState:
        """Put everything old aside, and what was recovered in the first member's place."""
        with step(self._observer, "restore: data exchanged"):
            new = self._rebuilding.timeline(state.id)
            if new in self._wal.timelines():
                raise RefusedError(
                    f"the service began timeline {new} itself while its data were recovered",
                    remedy="there was a failover meanwhile: run the same restore again",
                )
            aside = self._wal.put_aside()
            state = self._file.write(state.with_aside(aside))
            for node in self._nodes:
                if node.data.exists() and not _kept(node, state).exists():
                    node.data.rename(_kept(node, state))
            self._wal.take_over(self._rebuilding.data(state.id), new)
            self._rebuilding.hand_over(state.id, self._nodes[0].data)
            restore_keys(self._service.layout, state.keys, only=_KEPT_KEYS)
        return self._file.reached(state, "exchanged", step="exchanged")

    def _open(self, state: InPlaceState) -> InPlaceState:
        """Start the members; writes go on as soon as one standby has caught up."""
        with step(self._observer, "restore: a standby copied, writes again"):
            for node in self._nodes:
                self._ground.start(node.name)
            copied = Copied(self._nodes, self._observer)

            def open_again() -> bool:
                copied.tell()
                return self._takes_writes()

            first = self._nodes[0].name
            self._ground.wait(first, open_again, "a standby that confirms writes", STANDBY_SECONDS)
            copied.end()
        return state if "writable" in state.times else self._file.reached(state, "writable")

    def _takes_writes(self) -> bool:
        """True once a commit through the endpoint was confirmed by a standby."""
        if self._service.status().protection.level == "none":
            return False
        began = time.monotonic()
        try:
            with connect(self._service.writer("postgres"), purpose="restore", seconds=2) as line:
                line.execute("SET statement_timeout = '5s'")
                line.execute(_COMMIT)
        except NaruError:
            return False
        # A commit whose wait was cut short by the timeout comes back as well, late.
        return time.monotonic() - began < 4.5

    # Afterwards

    def confirm(self) -> InPlaceState:
        """Delete the data of before; there is no way back then but another restore."""
        state = self._file.must_exist()
        if state.step != "done":
            raise RefusedError(
                f"the restore in place of {state.id} is not done",
                remedy="`naru service restore --resume` or --undo",
            )
        for node in self._nodes:
            shutil.rmtree(_kept(node, state), ignore_errors=True)
        self._file.forget()
        return state

    def undo(self) -> InPlaceState:
        """Put the service back as it was, from wherever the restore stands.

        What was written since the restore is gone, with its timelines and backups of them.
        """
        state = self._file.must_exist()
        with step(self._observer, "restore: service as it was"):
            self._rebuilding.take_away(state.id)
            if "stopping" in state.times:
                self._put_back(state)
            self._service.up()
            self._backups.up()
        self._file.forget()
        return state

    def _put_back(self, state: InPlaceState) -> None:
        self._backups.stop()
        self._service.stop_members()
        for node in self._nodes:
            if _kept(node, state).exists():
                shutil.rmtree(node.data, ignore_errors=True)
                _kept(node, state).rename(node.data)
        restore_keys(self._service.layout, state.keys)
        self._wal.forget_timelines(keep=state.before)
        self._wal.bring_back(state.aside)

    @property
    def _nodes(self) -> tuple[Node, ...]:
        return self._service.layout.nodes


class Copied:
    """How much of a standby has been copied, told once a second at most."""

    def __init__(self, nodes: Sequence[Node], observer: Observer) -> None:
        self._standbys = [node.data for node in nodes[1:]]
        self._total = folder_size(nodes[0].data)
        self._observer = observer
        self._next = 0.0

    def tell(self) -> None:
        """Look, unless that was just done."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + 1.0
            done = max(map(folder_size, self._standbys))
            self._observer.progress(
                "standby copied", min(done, self._total - 1), self._total, "bytes"
            )

    def end(self) -> None:
        self._observer.progress("standby copied", self._total, self._total, "bytes")


def _kept(node: Node, state: InPlaceState) -> Path:
    """Where a member's data of before are kept."""
    return node.data.with_name(f"pgdata.before-{state.id}")
