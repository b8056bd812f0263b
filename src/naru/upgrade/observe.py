"""What decides about an upgrade, read from the service, the pool, the journal and the disk."""

from __future__ import annotations

import shutil
from ipaddress import IPv4Address

from naru.errors import NaruError
from naru.ground import Ground, hosts_of, member_hosts
from naru.journal import Journal
from naru.postgres import Installation, connect, fetch_all, find_installation, lacks_tls
from naru.service import Place, Service, base_name, next_place, read_clusters, unfinished_scale
from naru.spec import Spec
from naru.traffic import Pool
from naru.upgrade.plan import MAINTENANCE, UpgradeFacts

_DATABASES = """
SELECT datname::text, pg_database_size(oid)::int8 FROM pg_database
WHERE datallowconn AND NOT datistemplate AND datname <> %s ORDER BY datname
"""
_USERS_OBJECTS = """
SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND n.nspname !~ '^pg_'
  AND n.nspname <> 'information_schema'
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
                  AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY 1 LIMIT 20
"""
_TABLESPACES = "SELECT spcname::text FROM pg_tablespace WHERE spcname !~ '^pg_' ORDER BY 1"


def observe(
    declared: Spec, ground: Ground, service: Service, pool: Pool, journal: Journal, wanted: int
) -> UpgradeFacts:
    """Look at all of it. `service` is the one that clients reach.

    Raises UnreachableError when it does not take connections.
    """
    live = live_place(declared, ground, service)
    with connect(service.writer(MAINTENANCE), purpose="upgrade") as connection:
        databases = fetch_all(connection, _DATABASES, [MAINTENANCE])
        objects = fetch_all(connection, _USERS_OBJECTS)
        tablespaces = fetch_all(connection, _TABLESPACES)
    status = service.status()
    return UpgradeFacts(
        live=live,
        base=base_name(declared.service.cluster_name),
        wanted=wanted,
        members=declared.service.member_count,
        protection=status.protection.level,
        sentence=status.protection.sentence,
        databases=tuple((name, size) for name, size in databases),
        in_maintenance=tuple(name for (name,) in objects),
        tablespaces=tuple(name for (name,) in tablespaces),
        migrations=tuple(
            run.name for run in journal.runs() if run.kind == "migrate" and run.ended is None
        ),
        pooled=_pooled(pool, service),
        taken=_taken(declared, live, wanted),
        free_bytes=shutil.disk_usage(ground.folder).free,
        unfinished=unfinished_scale(service),
        lacks_tls=wanted > int(live.version) and lacks_tls(_installed(declared, wanted)),
    )


def _installed(declared: Spec, wanted: int) -> Installation:
    return find_installation(str(wanted), declared.ground.postgres)


def live_place(declared: Spec, ground: Ground, service: Service) -> Place:
    """The cluster that clients reach; before any upgrade it is as naru.toml has it."""
    clusters = read_clusters(ground.folder)
    if clusters is not None:
        return clusters.live
    return Place(
        declared.service.cluster_name,
        str(service.installation.major),
        declared.service.first_number,
    )


def _pooled(pool: Pool, service: Service) -> tuple[str, ...]:
    try:
        return pool.leading_to(service.address)
    except NaruError:
        return ()


def _taken(declared: Spec, live: Place, wanted: int) -> tuple[str, ...]:
    new = next_place(live, base_name(declared.service.cluster_name), str(wanted)).of(declared)
    others = {str(IPv4Address(host.lab_address)): host.name for host in hosts_of(live.of(declared))}
    return tuple(
        f"{host.lab_address} ({others[host.lab_address]})"
        for host in member_hosts(new)
        if host.lab_address in others
    )
