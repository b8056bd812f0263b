"""`naru service scale`, `rebuild`: members and nodes of the election that come and go."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from naru.cli import talk
from naru.cli.noting import noted
from naru.cli.options import JsonOption, SpecOption, YesOption, running, spec_of
from naru.errors import RefusedError

if TYPE_CHECKING:
    from naru.lab.environment import Environment
    from naru.service import ScalePlan
    from naru.spec import Spec
    from naru.spec.edit import Value

PauseOption = Annotated[
    float,
    typer.Option("--pause-seconds", min=0.1, help="How long open transactions may take to end."),
]


def scale(
    members: Annotated[
        int | None, typer.Option(min=2, max=5, help="How many PostgreSQL nodes there shall be.")
    ] = None,
    etcd: Annotated[
        int | None, typer.Option(min=1, max=3, help="How many nodes of the election: 1 or 3.")
    ] = None,
    remove: Annotated[
        list[str] | None,
        typer.Option("--remove", metavar="MEMBER", help="A member that shall go; repeat for each."),
    ] = None,
    spec: SpecOption = None,
    pause_seconds: PauseOption = 5.0,
    yes: YesOption = False,
    json: JsonOption = False,
) -> None:
    """Let members and nodes of the election come and go while clients are at work.

    The new numbers are written into naru.toml. Without options the service is brought to
    what naru.toml says; so a scale that was cut off goes on.
    """
    from naru.errors import UsageError
    from naru.lab.alone import alone_at_work

    if etcd == 2:
        raise UsageError("2 nodes of the election are not possible", remedy="1 or 3")
    environment = running(spec)
    asked = _asked(environment, spec, members, etcd, tuple(remove or ()))
    plan = _plan(environment, asked)
    cut_off = _was_cut_off(environment)
    if plan.empty and not cut_off:
        talk.say("nothing to do: the service is what it should be")
        _declare(environment.spec, spec, asked)
    else:
        if plan.empty:
            talk.say("  every part is told who belongs, since the last scale was cut off")
        else:
            _show(plan)
            talk.confirm(f"scale cluster {asked.service.cluster_name}", yes=yes)
        with alone_at_work(environment.ground, "scale"):
            _must_hold(plan, _plan(environment, asked))
            _declare(environment.spec, spec, asked)
            _carry_out(environment, asked, plan, pause_seconds)
    if json:
        talk.put_json(plan.to_json())
    else:
        talk.put(environment.service.status().protection.sentence)


def _asked(
    environment: Environment,
    spec: Path | None,
    members: int | None,
    etcd: int | None,
    remove: tuple[str, ...],
) -> Spec:
    """The spec as it shall be; without options naru.toml's, or, where there is none, that of a
    scale cut off."""
    from naru.journal import Journal
    from naru.service import asked_for, recall_wanted

    if members is None and etcd is None and not remove:
        if spec_of(spec)[1] is not None:
            return environment.spec
        with Journal.in_folder(environment.ground.folder) as journal:
            return recall_wanted(journal, environment.spec)
    return asked_for(environment.spec, members=members, etcd=etcd, remove=remove)


def _plan(environment: Environment, asked: Spec) -> ScalePlan:
    from naru.service import observe_scale, plan_scale, wanted_of

    plan = plan_scale(observe_scale(environment.service), wanted_of(asked))
    if plan.add:
        # As the next `naru up` would ask, for which it then was too late.
        type(environment)(asked, environment.ground.folder).plan().must_be_possible()
    restored = environment.in_place().state if plan.remove else None
    if restored is not None:
        raise RefusedError(
            f"the restore in place of {restored.id} is neither confirmed nor undone: what"
            f" {', '.join(plan.remove)} had before would be deleted",
            remedy="`naru service restore --confirm` or --undo first",
        )
    return plan


def _must_hold(shown: ScalePlan, now: ScalePlan) -> None:
    if not now.does_as(shown):
        raise RefusedError(
            "the service is not as it was when the plan was shown: nothing was done",
            remedy="run the same command again",
        )


def _was_cut_off(environment: Environment) -> bool:
    from naru.journal import Journal
    from naru.service import was_cut_off

    with Journal.in_folder(environment.ground.folder) as journal:
        return was_cut_off(journal)


def _show(plan: ScalePlan) -> None:
    for line in plan.sentences():
        talk.say(f"  {line}")
    for note in plan.notes:
        talk.say(f"note: {note}")


def _declare(declared: Spec, spec: Path | None, asked: Spec) -> None:
    """Write the numbers into naru.toml, or say which to write."""
    from naru.spec import edit_spec, etcd_numbers, member_numbers

    file = spec_of(spec)[1]
    same = (
        member_numbers(declared) == member_numbers(asked)
        and etcd_numbers(declared) == etcd_numbers(asked)
    )  # fmt: skip
    if same:
        return
    old, new = declared.service, asked.service
    pairs: dict[str, tuple[Value, Value]] = {
        "members": (old.members, new.members),
        "skip_members": (old.skip_members, new.skip_members),
        "etcd_members": (old.etcd_members, new.etcd_members),
    }
    values = {key: after for key, (before, after) in pairs.items() if after != before}
    if file is None:
        words = ", ".join(
            f"{key} = {list(value) if isinstance(value, tuple) else value}"
            for key, value in values.items()
        )
        talk.say(f"there is no naru.toml: to keep this, write one with {words} under [service]")
        return
    edit_spec(file, "service", values)
    talk.say(f"{file}: {', '.join(values)} written")


def _carry_out(environment: Environment, asked: Spec, plan: ScalePlan, seconds: float) -> None:
    from naru.service import Service, remember_wanted, scale

    service = Service(asked, environment.ground)
    with noted(environment, "scale") as (run, observer):
        remember_wanted(run, asked)
        scale(
            service, plan, lambda: environment.pool.hold(service, seconds), run, observer=observer
        )


def rebuild(
    member: Annotated[str, typer.Argument(help="The member whose data are copied anew.")],
    spec: SpecOption = None,
    yes: YesOption = False,
    json: JsonOption = False,
) -> None:
    """Copy a member anew from the primary; what it has is deleted. Never the primary."""
    from naru.service import plan_rebuild
    from naru.service import rebuild as carry_out

    environment = running(spec)
    service = environment.service
    plan = plan_rebuild(service.status(), member)
    for note in plan.notes:
        talk.say(f"note: {note}")
    talk.confirm(plan.question, yes=yes)
    with noted(environment, "rebuild", alone=True) as (run, observer):
        if plan_rebuild(service.status(), member).question != plan.question:
            raise RefusedError(
                "the service is not as it was when you were asked: nothing was done",
                remedy="run the same command again",
            )
        done = carry_out(service, plan, observer=observer)
        for name, value in done.to_json().items():
            run.figure(name, value, "s" if name == "seconds" else "")
    if json:
        talk.put_json(done.to_json())
    else:
        talk.put(f"rebuilt     {done.member} in {done.seconds:.1f} s")
