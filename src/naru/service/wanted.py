"""Who should belong to the service: as naru.toml says, as a command asks, as was asked before."""

from __future__ import annotations

from collections.abc import Sequence

from naru.errors import UsageError
from naru.ground import etcd_host, member_host
from naru.journal import Journal, Run
from naru.service.scale import WantedMembers
from naru.spec import MOST_MEMBERS, Spec, etcd_numbers, member_numbers, numbers_for_members


def wanted_of(spec: Spec) -> WantedMembers:
    """Who should belong to the service that `spec` declares."""
    return WantedMembers(
        tuple(member_host(spec, number).name for number in member_numbers(spec)),
        tuple(etcd_host(spec, number).name for number in etcd_numbers(spec)),
    )


def asked_for(
    spec: Spec,
    *,
    members: int | None = None,
    etcd: int | None = None,
    remove: Sequence[str] = (),
) -> Spec:
    """`spec` with other numbers; who is removed has its number skipped from now on.

    Raises UsageError for a name that no member has.
    """
    names = {member_host(spec, number).name: number for number in member_numbers(spec)}
    unknown = [name for name in remove if name not in names]
    if unknown:
        raise UsageError(f"no member {unknown[0]!r}", remedy=f"there are {', '.join(names)}")
    gone, service = {names[name] for name in remove}, spec.service
    count = members if members is not None else len(names) - len(gone)
    # Numbers given up before are used again when there are no others.
    free = [n for n in numbers_for_members(spec) if n not in gone]
    fresh = [n for n in free if n not in service.skip_members]
    numbers = sorted((*fresh, *(n for n in free if n not in fresh))[:count])
    if len(numbers) < count or count < 1:
        raise UsageError(
            f"{count} members are not possible without {', '.join(remove) or 'others'}",
            remedy=f"there are numbers for {MOST_MEMBERS} members; remove fewer at a time",
        )
    skipped = {*service.skip_members, *(n for n in gone if n < numbers[-1])} - {*numbers}
    changed = {
        "members": count,
        "skip_members": tuple(sorted(skipped)),
        "etcd_members": etcd if etcd is not None else service.etcd_members,
    }
    return spec.model_copy(update={"service": service.model_copy(update=changed)})


_KEYS = ("members", "skip_members", "etcd_members")


def remember_wanted(run: Run, spec: Spec) -> None:
    """Note in a run of `scale` what it is to come to."""
    run.remember("wanted", {key: getattr(spec.service, key) for key in _KEYS})


def was_cut_off(journal: Journal) -> bool:
    """Whether the last `scale` has not come to its end, or not yet."""
    last = journal.latest("service", "scale")
    return last is not None and last.outcome != "done"


def recall_wanted(journal: Journal, spec: Spec) -> Spec:
    """What the last `scale` was to come to if it was cut off, else `spec` as it is."""
    last = journal.latest("service", "scale")
    wanted = last.recall("wanted") if last is not None and was_cut_off(journal) else None
    if wanted is None:
        return spec
    changed = {**wanted, "skip_members": tuple(wanted["skip_members"])}
    return spec.model_copy(update={"service": spec.service.model_copy(update=changed)})
