"""What a changed naru.toml means for a service that exists: decided from what was observed.

Nothing here asks or changes anything. The plan names every key with its old and new value and
what the change does; what cannot be done is refused, with the way that leads there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from naru.errors import NaruError, RefusedError, SpecError
from naru.service.parameters import GUARDED, Assigned
from naru.spec.changing import Effect, change_of

_BY_CONTEXT: Mapping[str, Effect] = {"postmaster": "restart", "internal": "fixed"}
_MOST_MEMORY = 0.7
"""How much of the machine's memory the members' caches may be."""
_ROOM = 0.9
"""How full a member may be when the data's size is made smaller."""
_PRELOADED = "shared_preload_libraries"
_ADDRESSES = frozenset({
    "source.host", "source.port", "service.host", "service.port", "service.own_port",
    "traffic.host", "traffic.port",
})  # fmt: skip
"""Where servers and the pool find each other, as migrations under way have noted it."""
_BY_OBSERVATION = frozenset({
    "service.members", "service.ha", "service.skip_members", "service.etcd_members",
    "service.version", "source.version",
})  # fmt: skip
"""Keys that are judged by what there is, not by what naru.toml said before."""


@dataclass(frozen=True)
class Wanted:
    """What naru.toml asks for."""

    values: Mapping[str, Any]
    """By key, without the password; tables of settings are keys for each setting."""
    parameters: Mapping[str, Assigned]
    members: frozenset[str]
    etcd: frozenset[str]
    majors: Mapping[str, int]
    """Of `source` and `service`: the major version that the spec means on this machine."""
    cache_bytes: int
    """What the caches of all members take."""
    data_bytes: int


@dataclass(frozen=True)
class Observed:
    """What there is."""

    made: bool = False
    """The cluster has had its first primary."""
    running: bool = False
    applied: Mapping[str, Any] | None = None
    """What `naru up` was last done with; None when that is not known."""
    parameters: Mapping[str, str] | None = None
    """What the cluster's configuration sets; None when that is not known."""
    contexts: Mapping[str, str] = field(default_factory=dict)
    """When a change of a setting takes effect, as PostgreSQL calls it."""
    wrong: Mapping[str, str] = field(default_factory=dict)
    """What PostgreSQL says against wanted settings."""
    members: frozenset[str] = frozenset()
    etcd: frozenset[str] = frozenset()
    scaled_by_itself: bool = False
    """Who belongs is kept apart from naru.toml: what runs goes on with that, and only
    `naru service scale` changes it."""
    majors: Mapping[str, int] = field(default_factory=dict)
    """Of the data folders of `source` and `service` that there are."""
    password_differs: bool = False
    used_bytes: int | None = None
    """What the fullest member holds."""
    machine_bytes: int = 0
    waiting: tuple[str, ...] = ()
    """Settings that wait for a restart since an earlier `naru up`."""
    migrations: tuple[str, ...] = ()
    """Migrations and upgrades that are under way."""
    plain: bool = False
    """It was made before everything in it spoke TLS."""
    gone_libraries: tuple[str, ...] = ()
    """What stopped members load when they start, and is not installed any more."""


@dataclass(frozen=True)
class PlannedChange:
    """One key or PostgreSQL setting, from one value to another."""

    key: str
    old: str
    new: str
    effect: Effect
    source: str = ""
    """Of a PostgreSQL setting: what gives it."""
    refused: str | None = None
    """Why it cannot be, and what leads there."""
    wrong: bool = False
    """naru.toml says what PostgreSQL does not take."""


@dataclass(frozen=True)
class ChangePlan:
    """What `naru up` will do about a changed spec."""

    changes: tuple[PlannedChange, ...] = ()
    waiting: tuple[str, ...] = ()

    @property
    def refused(self) -> tuple[PlannedChange, ...]:
        return tuple(one for one in self.changes if one.refused is not None)

    @property
    def restarts(self) -> tuple[str, ...]:
        """The settings that a restart alone brings into force, those that wait included."""
        new = (one.key for one in self.changes if one.effect == "restart")
        return tuple(dict.fromkeys((*self.waiting, *new)))

    def must_be_possible(self) -> None:
        """Raise SpecError or RefusedError, naming all that cannot be."""
        if not self.refused:
            return
        lines = [f"{one.key}: {one.old} → {one.new}: {one.refused}" for one in self.refused]
        kind: type[NaruError] = SpecError if any(o.wrong for o in self.refused) else RefusedError
        raise kind(
            "\n".join(lines), remedy="nothing was changed; correct naru.toml, or take that way"
        )

    def to_json(self) -> dict[str, Any]:
        """The stable document of `naru up --plan --json`."""
        changes = [asdict(one) for one in self.changes]
        return {"changes": changes, "waiting": list(self.waiting)}


def plan_changes(observed: Observed, wanted: Wanted) -> ChangePlan:
    """Compare what there is with what is wanted, key by key and setting by setting.

    For a cluster that does not exist yet everything is possible but what is wrong in itself.
    """
    changes = [*_wrong(observed, wanted), *_too_big(observed, wanted)]
    if observed.made:
        changes += [
            *_tls(observed),
            *_versions(observed, wanted),
            *_members(observed, wanted),
            *_keys(observed, wanted),
            *_settings(observed, wanted),
            *_libraries(observed),
        ]
    return ChangePlan(tuple(changes), observed.waiting if observed.made else ())


def _wrong(observed: Observed, wanted: Wanted) -> Iterator[PlannedChange]:
    for name, words in observed.wrong.items():
        one = wanted.parameters[name]
        old = (observed.parameters or {}).get(name, "default")
        yield PlannedChange(
            name, old, one.value, "settings", one.source, f"PostgreSQL says: {words}", wrong=True
        )


def _too_big(observed: Observed, wanted: Wanted) -> Iterator[PlannedChange]:
    most = int(observed.machine_bytes * _MOST_MEMORY)
    if observed.machine_bytes and wanted.cache_bytes > most:
        yield PlannedChange(
            "service.server_type", "", str(wanted.values.get("service.server_type")), "settings",
            refused=f"the caches of {len(wanted.members)} members would take"
            f" {_gb(wanted.cache_bytes)}, more than {_MOST_MEMORY:.0%} of this machine's"
            f" {_gb(observed.machine_bytes)}; lower service.memory_share",
        )  # fmt: skip
    used = observed.used_bytes
    if observed.made and used is not None and used > wanted.data_bytes * _ROOM:
        old = (observed.applied or {}).get("service.data_gb")
        new = wanted.values.get("service.data_gb")
        if old is None or new is None or new >= old:
            return
        yield PlannedChange(
            "service.data_gb", _show(old), _show(new), "settings",
            refused=f"a member holds {_gb(used)}: clients could only read; make room first, or"
            " leave it larger",
        )  # fmt: skip


def _tls(observed: Observed) -> Iterator[PlannedChange]:
    if observed.plain:
        yield PlannedChange("TLS", "none", "every connection; clients must offer it", "anew")


def _versions(observed: Observed, wanted: Wanted) -> Iterator[PlannedChange]:
    for side, there in observed.majors.items():
        means = wanted.majors.get(side, there)
        if means != there:
            key = f"{side}.version"
            way = change_of(key).way
            yield PlannedChange(
                key, str(there), str(means), "fixed",
                refused=f'its data are of PostgreSQL {there}: write {key} = "{there}"; {way}',
            )  # fmt: skip


def _members(observed: Observed, wanted: Wanted) -> Iterator[PlannedChange]:
    pairs = {
        "service.members": (observed.members, wanted.members),
        "service.etcd_members": (observed.etcd, wanted.etcd),
    }
    for key, (there, asked) in pairs.items():
        if there and there != asked:
            old, new = ", ".join(sorted(there)), ", ".join(sorted(asked))
            refused = None if observed.scaled_by_itself else change_of(key).way
            yield PlannedChange(key, old, new, "members", refused=refused)


def _keys(observed: Observed, wanted: Wanted) -> Iterator[PlannedChange]:
    if observed.password_differs:
        yield PlannedChange("service.password", "***", "***", "reload")
    if observed.applied is None:
        return
    for key, new in wanted.values.items():
        old = observed.applied.get(key, new)
        if old == new or key in _BY_OBSERVATION or _is_setting(key):
            continue
        change = change_of(key)
        refused = None
        if change.effect == "fixed":
            refused = f"fixed once it is made; {change.way}"
        elif key in _ADDRESSES and observed.migrations:
            names = ", ".join(observed.migrations)
            refused = f"not while a migration is under way ({names}); finish or abort it first"
        elif change.effect == "stopped" and observed.running:
            refused = f"not while it runs; {change.way} (data stay; clients must come again)"
        yield PlannedChange(key, _show(old), _show(new), change.effect, refused=refused)


def _is_setting(key: str) -> bool:
    """Those of tables of settings are told as settings of PostgreSQL."""
    return key.startswith(("service.settings.", "parameter_group."))


def _settings(observed: Observed, wanted: Wanted) -> Iterator[PlannedChange]:
    if observed.parameters is None:
        return
    there = {name: value for name, value in observed.parameters.items() if name != GUARDED}
    for name in dict.fromkeys((*wanted.parameters, *there)):
        new = wanted.parameters.get(name)
        old = there.get(name)
        if name in observed.wrong or (new is not None and new.value == old):
            continue
        if name == _PRELOADED and observed.gone_libraries:
            continue
        effect = _BY_CONTEXT.get(observed.contexts.get(name, ""), "reload")
        yield PlannedChange(
            name,
            "default" if old is None else old,
            "default" if new is None else new.value,
            effect,
            "" if new is None else new.source,
            "PostgreSQL fixes it when it is built or initialised" if effect == "fixed" else None,
        )


def _libraries(observed: Observed) -> Iterator[PlannedChange]:
    """Settings reach members by a running primary, and none can start without these."""
    if observed.gone_libraries:
        gone = ", ".join(observed.gone_libraries)
        yield PlannedChange(
            _PRELOADED, gone, "not installed", "restart",
            refused=f"members start with {gone}, which their PostgreSQL does not have any more:"
            " install it again (Debian: the package postgresql-VERSION-NAME), run `naru up`, and"
            " take it out while they run",
        )  # fmt: skip


def _show(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return "none" if value in (None, "") else str(value)


def _gb(size: int) -> str:
    return f"{size / 2**30:.2f} GB"
