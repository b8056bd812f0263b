"""A whole environment: the ground, the old server, the service and the pool, as one thing."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

from naru.backup import Backups, Beside, InPlace
from naru.errors import NaruError, UsageError
from naru.ground import (
    Ground,
    OpenSession,
    Reloadable,
    hosts_of,
    open_ground,
    show_new_certificates,
)
from naru.lab import maintenance
from naru.lab.admitting import Door, end_outsiders, open_sessions, outsiders, told
from naru.lab.alone import alone_at_work
from naru.lab.applying import (
    carry_out_restarts,
    follow_what_moved,
    note_applied,
    restarts_now,
)
from naru.lab.creativity import APPLICATION
from naru.lab.maintenance import place_maintenance
from naru.lab.noting import issues_noted, migrations_under_way, note, note_changes
from naru.lab.securing import pass_to_tls
from naru.postgres import Dsn
from naru.service import (
    AppliedFile,
    ChangePlan,
    Service,
    Standalone,
    Wanted,
    beside_spec,
    live_spec,
    plan_changes,
    what_is_wanted,
    what_there_is,
)
from naru.spec import Spec
from naru.system import SILENT, Observer, step
from naru.traffic import Pool

OTHER_SECONDS = 60.0
"""How long `up` waits for another work on the service."""


class Environment:
    """Everything that `spec` declares, with its state in `folder`."""

    def __init__(self, spec: Spec, folder: Path) -> None:
        self.declared = spec
        self.spec = spec = live_spec(spec, folder)
        self.ground: Ground = open_ground(spec, folder)
        self.source = Standalone(spec, self.ground)
        self.service = Service(spec, self.ground)
        self.pool = Pool(spec, self.ground)
        self.backups = Backups(spec, self.ground, self.service)
        self.beside = Beside(spec, self.ground, self.service, self.backups)

    def plan(self) -> ChangePlan:
        """What `up` would change, by what there is and what the spec asks for. Changes nothing."""
        wanted = self._wanted
        observed = what_there_is(self.spec, self.ground, self.service, wanted)
        under_way = migrations_under_way(self.ground.folder)
        return plan_changes(replace(observed, migrations=under_way), wanted)

    @property
    def _wanted(self) -> Wanted:
        return what_is_wanted(self.spec, self.service.installation)

    def up(
        self,
        observer: Observer = SILENT,
        *,
        plan: ChangePlan | None = None,
        now: bool = False,
        keep_sessions: bool = False,
    ) -> None:
        """Have all of it running. Harmless when it is; after a power cut all comes back.

        What the spec changes is carried out by `plan` (made here when not given). Members that
        need a restart get it at once when `now`, or when no maintenance window says otherwise.
        Sessions from addresses that are not let in any more end, unless `keep_sessions`.
        Raises SpecError or RefusedError, before anything is touched, for what cannot be; and
        RefusedError while another work on the service goes on: members that it stops, moves or
        takes away would be started.
        """
        plan = plan or self.plan()
        plan.must_be_possible()
        with issues_noted(self.ground.folder, self.ground.certificates):
            with step(observer, "ground"):
                self.ground.up()
            with alone_at_work(self.ground, "naru up", seconds=OTHER_SECONDS):
                self._have_running(plan, observer)
        wanted = self._wanted
        note_applied(self.ground, wanted, plan.restarts)
        note_changes(self.ground.folder, plan)
        if not keep_sessions:
            self.end_outsiders()
        self._restart_for(plan, wanted, observer, now=now)

    def _have_running(self, plan: ChangePlan, observer: Observer) -> None:
        with step(observer, "old server"):
            self.source.up()
        if self.service.is_plain and self.pool.is_running:
            pass_to_tls(self.service, self.pool, observer)
        else:
            self.service.up(observer)
        if (beside := self.beside_service) is not None:
            beside.up_members(observer)
        with step(observer, "pool"):
            self._pool_up()
        follow_what_moved(self.spec, self.ground, self.pool, plan)
        if self.spec.backup.enabled:
            with step(observer, "backups"):
                self._backups_up()
        else:
            self.backups.switch_off()
        self._serve_certificates()

    def _restart_for(
        self, plan: ChangePlan, wanted: Wanted, observer: Observer, *, now: bool
    ) -> None:
        """Restart members for the settings that need it, now or when the window opens."""
        at_once = restarts_now(self.spec, plan, now=now)
        by_itself = place_maintenance(self.spec, self.ground)
        if plan.restarts and not at_once and not by_itself:
            observer.note("nobody restarts by itself here: run `naru up` again in the window")
        if at_once:
            carry_out_restarts(self.ground, self.service, self.pool, observer)
            note_applied(self.ground, wanted, ())

    def sessions(self) -> tuple[OpenSession, ...]:
        """Every client at the endpoints, the pool and restored instances, of one that is up."""
        return open_sessions(self._doors) if self.ground.status().up else ()

    def allowed_in_force(self) -> bool:
        """Whether `service.allowed` is what the last `up` applied."""
        applied = AppliedFile(self.ground).read()
        if applied is None:
            return True
        known = applied.values.get("service.allowed", self.spec.service.allowed)
        return list(known) == list(self.spec.service.allowed)

    def outsiders(self) -> tuple[OpenSession, ...]:
        """Those of `sessions` whose address is not let in any more; none before the first `up`."""
        return outsiders(self.ground, self._doors) if self.ground.status().up else ()

    def end_outsiders(self) -> tuple[OpenSession, ...]:
        """End them, and note it. Raises NotPermittedError or DeadlineError, naming who stays."""
        ended = end_outsiders(self.ground, self._doors)
        if ended:
            note(
                self.ground.folder, "access", "access.ended", f"ended: {told(ended)}",
                sessions=[one.to_json() for one in ended],
            )  # fmt: skip
        return ended

    @property
    def _doors(self) -> tuple[Door, ...]:
        return self.service, self.beside, self.pool

    def renew(self, *, with_authority: bool = False) -> tuple[str, ...]:
        """New certificates for all, by a new authority if asked for, and in use; their names."""
        certificates = self.ground.certificates
        with issues_noted(self.ground.folder, certificates):
            names = certificates.renew(with_authority=with_authority)
            self.service.reload()
            self._serve_certificates()
        return names

    def _serve_certificates(self) -> None:
        parts: list[Reloadable] = [self.source, self.service, self.pool, self.beside]
        if (other := self.beside_service) is not None:
            parts.append(other)
        show_new_certificates(self.ground.certificates, parts)

    def down(self, observer: Observer = SILENT, *, purge: bool = False) -> None:
        """Stop all of it in order and leave nothing running; `purge` removes the data too."""
        if self.ground.status().orphaned:
            # So that it ends in order; where that fails all is ended at once, below.
            with contextlib.suppress(NaruError):
                with step(observer, "programs taken over"):
                    self.ground.up()
        if self.ground.status().up:
            self.ground.stop(maintenance.PROGRAM)
            with step(observer, "pool stopped"):
                self.pool.stop()
            if (beside := self.beside_service) is not None:
                with step(observer, "cluster beside stopped"):
                    beside.stop_members()
            with step(observer, "service stopped"):
                self.service.down()
            self.backups.stop()
            self.beside.stop()
        with step(observer, "ground cleared"):
            self.ground.down(purge=purge)

    def in_place(self, observer: Observer = SILENT) -> InPlace:
        """Takes the service back to a moment, telling `observer` how far it is."""
        return InPlace(self.ground, self.service, self.backups, observer)

    @property
    def beside_service(self) -> Service | None:
        """The other cluster of an upgrade; None while there is none."""
        spec = beside_spec(self.declared, self.ground.folder)
        return None if spec is None else Service(spec, self.ground)

    def must_be_up(self) -> None:
        """Raise UsageError unless the environment has been brought up."""
        status = self.ground.status()
        if status.orphaned:
            raise UsageError(
                f"environment {status.environment} runs, but its supervisor has died",
                remedy="run `naru up`, which takes its programs over as they run",
            )
        if not status.up:
            raise UsageError(
                f"environment {self.spec.environment.name} is not up", remedy="run `naru up`"
            )

    def _backups_up(self) -> None:
        self.backups.up()
        self.beside.up()

    def addresses(self) -> dict[str, Dsn]:
        """Where clients can connect: the pool, the service's endpoints, each server."""
        members = {one.name: self.service.member(one.name) for one in self.service.layout.nodes}
        database = self.spec.source.database
        return {
            "pool": self._clients_way(),
            "writes": self.service.writer(),
            "reads": self.service.reader(),
            "source": self.source.dsn(database),
            **members,
        }

    def _clients_way(self) -> Dsn:
        """The pool as its clients use it: the old server's content as its application, from
        wherever that is served now; without content the service's own database."""
        service = self.spec.service
        if self.ground.secrets.kept(APPLICATION) is None:
            return self.pool.dsn(service.user, service.database)
        return self.pool.dsn(APPLICATION, self.spec.source.database)

    def node_names(self) -> dict[str, str]:
        """The names of the servers, by their addresses on this ground."""
        return {
            self.ground.address(host.lab_address): host.name
            for host in hosts_of(self.spec)
            if "postgres" in dict(host.ports)
        } | {node.address: node.name for node in self.service.layout.nodes}

    def _pool_up(self) -> None:
        self.pool.up()
        self.pool.remember(self.spec.service.user, self.service.password)
        self.pool.sync_users(self.service.writer("postgres"))
