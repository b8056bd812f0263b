"""What there is of a service, and what its spec asks for: the facts that a plan is made from."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from naru.errors import NaruError
from naru.ground import Ground, etcd_hosts, member_hosts
from naru.postgres import (
    Installation,
    connect,
    describe_parameters,
    fetch_all,
    find_installation,
    missing_libraries,
    wrong_values,
)
from naru.service import audit, rest
from naru.service.applied import Applied, AppliedFile, flatten
from naru.service.changes import Observed, Wanted
from naru.service.clusters import SECOND, base_name
from naru.service.layout import Layout
from naru.service.parameters import GUARDED, assigned
from naru.service.server_type import ServerType
from naru.service.storage import read_storage
from naru.spec import Spec

if TYPE_CHECKING:
    from naru.service.cluster import Service

_SECONDS = 5.0
_CONTEXTS = "SELECT lower(name), context FROM pg_settings"


def what_is_wanted(spec: Spec, installation: Installation) -> Wanted:
    """What naru.toml asks for on this machine; `installation`: what members run, or would.

    After a major upgrade `spec` reads for the cluster that clients reach; what naru.toml says of
    the cluster's name and of where its numbers begin is the same as before.
    """
    service = spec.service
    source = find_installation(spec.source.version, spec.ground.postgres)
    kind = audit.kind_of(spec, installation)
    members = frozenset(host.name for host in member_hosts(spec))
    cache_mb = ServerType.named(service.server_type).memory_mb(service.memory_share) // 4
    return Wanted(
        values={
            **{key: one for key, one in flatten(spec).items() if key != "service.first_number"},
            "service.cluster_name": base_name(service.cluster_name),
        },
        parameters=assigned(spec, installation.major, kind),
        members=members,
        etcd=frozenset(host.name for host in etcd_hosts(spec)),
        majors={"source": source.major, "service": installation.major},
        cache_bytes=cache_mb * 2**20 * len(members),
        data_bytes=int(service.data_gb * 2**30),
    )


def what_there_is(spec: Spec, ground: Ground, service: Service, wanted: Wanted) -> Observed:
    """What exists of the environment, and what PostgreSQL says of the wanted settings."""
    installation = service.installation
    wrong = wrong_values(installation, {name: a.value for name, a in wanted.parameters.items()})
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    contexts = {name: one.context for name, one in describe_parameters(installation).items()}
    data = ground.folder / "data"
    clusters = [path.stem for path in data.glob("*.founded")]
    if not clusters:
        return Observed(wrong=wrong, machine_bytes=memory, contexts=contexts)
    applied = AppliedFile(ground).read()
    values = dict(applied.values) if applied else {"service.cluster_name": base_name(clusters[0])}
    prefix = str(values.get("service.server_prefix", spec.service.server_prefix))
    members = _members(data, prefix, spec.service.first_number)
    running = ground.status().up
    stored = read_storage(ground)
    return Observed(
        made=True,
        running=running,
        applied=values,
        parameters=_parameters(service, applied, running=running),
        contexts={**contexts, **(_contexts(service) if running else {})},
        wrong=wrong,
        members=members,
        etcd=_there(data, r"etcd\d+", "member"),
        scaled_by_itself=any(data.glob("*.membership")),
        majors=_majors(data, members),
        password_differs=_password_differs(spec, ground),
        used_bytes=max(stored.used.values(), default=None) if stored else None,
        machine_bytes=memory,
        waiting=_waiting(service, applied, running=running),
        plain=service.is_plain,
        gone_libraries=()
        if running or applied is None
        else missing_libraries(
            installation, applied.parameters.get("shared_preload_libraries", "")
        ),
    )


def _there(data: Path, pattern: str, mark: str) -> frozenset[str]:
    """The programs whose data there are."""
    found = (path.name for path in data.iterdir() if (path / mark).exists())
    return frozenset(name for name in found if re.fullmatch(pattern, name))


def _members(data: Path, prefix: str, first: int) -> frozenset[str]:
    """Those of the set of members that begins with `first`; a set has at most five."""
    found = _there(data, rf"{re.escape(prefix)}\d+", "pgdata/PG_VERSION")
    return frozenset(
        name for name in found if first <= int(name.removeprefix(prefix)) < first + SECOND - 1
    )


def _majors(data: Path, members: Iterable[str]) -> dict[str, int]:
    found = {}
    for side, names in {"source": ["source"], "service": members}.items():
        for name in names:
            with contextlib.suppress(OSError, ValueError):
                found[side] = int((data / name / "pgdata" / "PG_VERSION").read_text())
    return found


def _parameters(
    service: Service, applied: Applied | None, *, running: bool
) -> Mapping[str, str] | None:
    """The cluster's own word; where nobody answers, what was asked for last."""
    found = configured_parameters(service.layout) if running else None
    if found is None:
        return applied.parameters if applied else None
    return {name: value for name, value in found.items() if name != GUARDED}


def configured_parameters(layout: Layout) -> dict[str, str] | None:
    """The PostgreSQL settings of the cluster's configuration; None when no member answers."""
    for node in layout.nodes:
        answer = rest.get(node.door, "/config", _SECONDS)
        if answer is not None and answer.status == 200 and isinstance(answer.document, dict):
            found = (answer.document.get("postgresql") or {}).get("parameters") or {}
            return {name: str(value) for name, value in found.items()}
    return None


def _contexts(service: Service) -> dict[str, str]:
    """As a running member tells them, with those that no configuration file shows."""
    for member in service.members():
        with contextlib.suppress(NaruError):
            with connect(
                service.member(member.name, "postgres"), purpose="plan", seconds=2
            ) as connection:
                return dict(fetch_all(connection, _CONTEXTS))
    return {}


def _password_differs(spec: Spec, ground: Ground) -> bool:
    given = spec.service.password
    kept = ground.secrets.kept(f"service-{spec.service.user}")
    return given is not None and kept is not None and given.get_secret_value() != kept


def _waiting(service: Service, applied: Applied | None, *, running: bool) -> tuple[str, ...]:
    """What an earlier `up` left for a restart, unless somebody restarted since."""
    if applied is None or not applied.waiting:
        return ()
    if running and not any(one.pending_restart for one in service.status().members):
        return ()
    return applied.waiting
