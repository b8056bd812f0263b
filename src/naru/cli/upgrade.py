"""`naru service upgrade`: another version of PostgreSQL, minor or major."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from naru.cli import talk
from naru.cli.noting import noted
from naru.cli.options import JobsOption, JsonOption, SpecOption, YesOption, spec_of
from naru.errors import RefusedError, UsageError

if TYPE_CHECKING:
    from naru.journal import Journal, Run
    from naru.lab.environment import Environment
    from naru.migrate import Crossed
    from naru.upgrade import Upgrade, UpgradePlan, UpgradeStatus
    from naru.upgrade.sides import End


def upgrade(
    to: Annotated[
        int | None,
        typer.Option("--to", metavar="VERSION", min=10, help="The major version to go to."),
    ] = None,
    prepare: Annotated[
        bool, typer.Option("--prepare", help="Copy and follow, and leave the switch for later.")
    ] = False,
    back: Annotated[
        bool, typer.Option("--back", help="Return to the old cluster, with all written since.")
    ] = False,
    finish: Annotated[
        bool, typer.Option("--finish", help="Take the old cluster away for good.")
    ] = False,
    abort: Annotated[
        bool, typer.Option("--abort", help="Take the new cluster away; all is as before.")
    ] = False,
    minor: Annotated[
        bool,
        typer.Option("--minor", help="Start the members anew, one by one, with new programs."),
    ] = False,
    jobs: JobsOption = 2,
    pause_seconds: Annotated[
        float,
        typer.Option("--pause-seconds", min=0.1, help="How long clients may wait at a switch."),
    ] = 5.0,
    no_verify: Annotated[
        bool, typer.Option("--no-verify", help="Do not compare the two clusters afterwards.")
    ] = False,
    spec: SpecOption = None,
    yes: YesOption = False,
    json: JsonOption = False,
) -> None:
    """Bring the service to another version of PostgreSQL; without options, show where that is.

    A major version comes as a second cluster, which follows the first one until clients are
    moved over in a pause; then the first one follows, until --finish. A minor version is new
    programs for the same data. Stopped at any point, the same command goes on.
    """
    chosen = [name for name, on in (("--to", to is not None), ("--back", back),
              ("--finish", finish), ("--abort", abort), ("--minor", minor)) if on]  # fmt: skip
    if len(chosen) > 1:
        raise UsageError(f"{' and '.join(chosen)} cannot be had at once", remedy="name one")
    with _opened(spec) as (environment, journal):
        if minor:
            _minor(environment, pause_seconds, yes=yes, json=json)
            return
        found = _Found(environment, journal, jobs, pause_seconds)
        if to is not None:
            _to(found, to, prepare=prepare, verify=not no_verify, yes=yes, json=json)
        elif back:
            _back(found, verify=not no_verify, yes=yes, json=json)
        elif finish or abort:
            _end(found, finish=finish, yes=yes, json=json)
        else:
            _status(found, json=json)


def name_of_upgrade(environment: Environment) -> str | None:
    """The major upgrade that is under way, such as `17 to 18`; None when there is none."""
    from naru.journal import Journal
    from naru.upgrade import open_upgrade

    with Journal.in_folder(environment.ground.folder) as journal:
        run = open_upgrade(journal)
        return None if run is None else run.name


class _Found:
    """The environment, its journal, and the upgrade in it."""

    def __init__(
        self, environment: Environment, journal: Journal, jobs: int, pause_seconds: float
    ) -> None:
        self.environment = environment
        self.journal = journal
        self._jobs = jobs
        self._pause_seconds = pause_seconds

    @property
    def run(self) -> Run:
        """Raises UsageError when no upgrade is under way."""
        from naru.upgrade import open_upgrade

        run = open_upgrade(self.journal)
        if run is None:
            raise UsageError("no upgrade is under way", remedy="naru service upgrade --to VERSION")
        return run

    @contextmanager
    def upgrade(self, run: Run) -> Iterator[Upgrade]:
        """The upgrade of `run`, telling how far it is."""
        from naru.cli.progress import observer_for
        from naru.upgrade import Sides, Upgrade

        env = self.environment
        with observer_for() as observer:
            yield Upgrade(
                Sides(env.declared, env.ground, env.pool, run),
                jobs=self._jobs, pause_seconds=self._pause_seconds, observer=observer,
            )  # fmt: skip


def _to(found: _Found, version: int, *, prepare: bool, verify: bool, yes: bool, json: bool) -> None:
    from naru.upgrade import begin, open_upgrade, version_of

    run = open_upgrade(found.journal)
    if run is None:
        plan = _plan(found, version)
        _show_plan(plan, prepare=prepare)
        talk.confirm(f"bring the service to PostgreSQL {version}", yes=yes)
        run = begin(found.journal, plan)
    elif version_of(run) != version:
        raise UsageError(
            f"an upgrade is under way, {run.name}",
            remedy="end it first: naru service upgrade --finish, or --abort",
        )
    with found.upgrade(run) as upgrade:
        if upgrade.sides.live == "new" and run.recall("switching") is None:
            raise UsageError(
                f"clients are at PostgreSQL {version} already",
                remedy="naru service upgrade --finish, or --back",
            )
        upgrade.prepare()
        crossed = () if prepare else _switch(found, upgrade, "new", verify=verify)
    if prepare:
        _status(found, json=json)
        return
    _show_crossed(found, crossed, json=json)


def _plan(found: _Found, version: int) -> UpgradePlan:
    from naru.postgres import find_installation
    from naru.upgrade import observe, plan_upgrade

    env = found.environment
    plan = plan_upgrade(
        observe(env.declared, env.ground, env.service, env.pool, found.journal, version)
    )
    find_installation(str(version), env.spec.ground.postgres)
    return plan


def _show_plan(plan: UpgradePlan, *, prepare: bool) -> None:
    from naru.system.units import human_bytes

    talk.say(
        f"{plan.old.name}, PostgreSQL {plan.old.version} → {plan.new.name}, PostgreSQL"
        f" {plan.new.version}: {', '.join(plan.databases)}, {human_bytes(plan.bytes)}"
    )
    end = "then clients stay until --to again" if prepare else "then clients move, in a pause each"
    talk.say(f"a second cluster beside, a copy of each database, {end}")
    for warning in plan.warnings:
        talk.say(f"note: {warning}")


def _back(found: _Found, *, verify: bool, yes: bool, json: bool) -> None:
    run = found.run
    with found.upgrade(run) as upgrade:
        talk.confirm("move the clients back to the old cluster", yes=yes)
        crossed = _switch(found, upgrade, "old", verify=verify)
    _show_crossed(found, crossed, json=json)


def _switch(found: _Found, upgrade: Upgrade, to: End, *, verify: bool) -> tuple[Crossed, ...]:
    from naru.lab.alone import alone_at_work

    with alone_at_work(found.environment.ground, f"upgrade {found.run.name}, its switch"):
        return upgrade.switch(to, verify=verify)


def _end(found: _Found, *, finish: bool, yes: bool, json: bool) -> None:
    from naru.lab.alone import alone_at_work

    run = found.run
    gone = "old" if finish else "new"
    name = run.recall(gone)["name"]
    talk.confirm(f"take cluster {name} away for good, with its data", yes=yes)
    what = f"upgrade {run.name}, its end"
    with alone_at_work(found.environment.ground, what), found.upgrade(run) as upgrade:
        if finish:
            upgrade.finish()
        else:
            upgrade.abort()
    if json:
        talk.put_json({"name": run.name, "outcome": "finished" if finish else "aborted"})
        return
    talk.put(f"{'finished' if finish else 'aborted'}: cluster {name} is gone")
    _say_version(found)


def _say_version(found: _Found) -> None:
    """naru.toml is the user's: what it should say is told, not written."""
    from naru.service import live_spec

    declared = found.environment.declared
    live = live_spec(declared, found.environment.ground.folder).service.version
    if declared.service.version.isdecimal() and declared.service.version != live:
        talk.say(f'note: naru.toml says service.version = "{declared.service.version}";'
                 f' write version = "{live}"')  # fmt: skip


def _status(found: _Found, *, json: bool) -> None:
    from naru.upgrade import Sides, observe_upgrade

    env = found.environment
    seen = observe_upgrade(Sides(env.declared, env.ground, env.pool, found.run))
    if json:
        talk.put_json(seen.to_json())
        return
    _show_status(seen)


def _show_status(seen: UpgradeStatus) -> None:
    talk.put(f"old\t{seen.old}{'  ← clients' if seen.live == 'old' else ''}")
    talk.put(f"new\t{seen.new}{'  ← clients' if seen.live == 'new' else ''}")
    for one in seen.databases:
        lag = "" if one.lag_bytes is None else f"\t{one.lag_bytes} bytes behind"
        trouble = f"\t{one.problem}" if one.problem else ""
        talk.put(f"{one.database}\t{one.state}, written at the {one.at} cluster{lag}{trouble}")
    talk.put(seen.next)


def _show_crossed(found: _Found, crossed: tuple[Crossed, ...], *, json: bool) -> None:
    from naru.upgrade import Sides

    env = found.environment
    live = Sides(env.declared, env.ground, env.pool, found.run).live
    if json:
        talk.put_json({
            "live": live,
            "databases": {one.database: one.crossing.to_json() for one in crossed},
        })  # fmt: skip
    for one in crossed if not json else ():
        verdict = one.crossing.verdict
        same = "" if verdict is None else (
            f", {verdict.rows:,} rows in {len(verdict.tables)} tables the same"
            if verdict.same else f", {verdict.differences} DIFFERENCES"
        )  # fmt: skip
        talk.put(f"{one.database}\tclients waited {one.crossing.pause_ms:g} ms{same}")
    if not json:
        talk.put(f"clients are at the {live} cluster")
    _say_version(found)
    differing = [one.database for one in crossed
                 if one.crossing.verdict is not None and not one.crossing.verdict.same]  # fmt: skip
    if differing:
        other = "--back" if live == "new" else "--to"
        raise RefusedError(
            f"the two clusters differ at the moment of the switch: {', '.join(differing)}",
            remedy=f"naru service upgrade {other} moves the clients to the other one",
        )


def _minor(environment: Environment, pause_seconds: float, *, yes: bool, json: bool) -> None:
    from naru.upgrade import plan_minor, renew, running_versions

    service = environment.service
    installed = service.installation
    plan = plan_minor(service.status(), running_versions(service), installed.version)
    if not plan.behind:
        talk.say(f"every member runs PostgreSQL {plan.version} already")
        if json:
            talk.put_json({"version": plan.version, "members": []})
        return
    for name, version in plan.behind.items():
        talk.say(f"{name}: {version} → {plan.version} ({installed.bin})")
    talk.confirm(f"start {', '.join(plan.order.members)} anew, in this order", yes=yes)
    with noted(environment, f"minor upgrade to {plan.version}", alone=True) as (run, observer):
        done = renew(
            service, environment.ground, plan,
            lambda: environment.pool.hold(service, pause_seconds), observer=observer,
        )  # fmt: skip
        run.event("upgrade.minor", ", ".join(f"{one} {plan.behind[one]}" for one in done.members))
    if json:
        talk.put_json({"version": plan.version, **done.to_json()})
        return
    for name in done.members:
        talk.put(f"{name}\t{plan.behind[name]} → {plan.version}")
    if done.switchover:
        talk.put(f"held\t{done.switchover.held_ms:.1f} ms")


@contextmanager
def _opened(spec: Path | None) -> Iterator[tuple[Environment, Journal]]:
    from naru.ground import state_folder
    from naru.journal import Journal
    from naru.lab.environment import Environment
    from naru.spec import load

    _, file = spec_of(spec)
    environment = Environment(load(file), state_folder(file))
    environment.must_be_up()
    with Journal.in_folder(environment.ground.folder) as journal:
        yield environment, journal
