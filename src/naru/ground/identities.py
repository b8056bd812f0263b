"""Who of an environment has a certificate: names and addresses it is reached by, and where."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain

from naru.ground.access import OWN_MACHINE
from naru.ground.hosts import Host, backup_hosts, etcd_host, member_host
from naru.spec import (
    Spec,
    etcd_numbers,
    member_numbers,
    numbers_for_etcd,
    numbers_for_members,
)

CLIENT = "naru"
"""The certificate by which naru itself is known to etcd."""

SECOND_NUMBER = 6
"""The number of the first member of the second set, in an upgrade."""

POSTGRES_PORTS = frozenset({"postgres", "pool"})
"""What speaks PostgreSQL's protocol, where TLS begins after a word of the client's."""


@dataclass(frozen=True)
class Place:
    """A port at which a certificate is shown."""

    address: str
    port: int
    purpose: str


@dataclass(frozen=True)
class Identity:
    """What one certificate is to say, and where it is used."""

    name: str
    used_by: str
    names: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    places: tuple[Place, ...] = ()
    spare: bool = False
    """Issued only when somebody asks for it: for members and nodes of the election that may come
    by `naru service scale`, and for a second set of members, in an upgrade."""


def identities(spec: Spec, address: Callable[[str], str]) -> tuple[Identity, ...]:
    """Every certificate that the environment needs, then those that it may need; `address` finds
    a host on its ground.

    A member is also reached through the service's endpoints, which pass on what it says.
    """
    service = Host("service", spec.service.host, ())
    members = (
        replace(
            _identity(spec, address, member_host(spec, number), "PostgreSQL and Patroni", service),
            spare=number not in member_numbers(spec),
        )
        for one in (spec, _with_other_members(spec))
        for number in numbers_for_members(one)
    )
    election = (
        replace(
            _identity(spec, address, etcd_host(spec, number), "etcd, for clients and peers"),
            spare=number not in etcd_numbers(spec),
        )
        for number in numbers_for_etcd()
    )
    others = (_identity(spec, address, host, used_by) for host, used_by in _others(spec))
    found = (Identity(CLIENT, "naru as a client of etcd"), *members, *election, *others)
    return tuple(sorted(found, key=lambda one: one.spare))


def _with_other_members(spec: Spec) -> Spec:
    number = SECOND_NUMBER if spec.service.first_number == 1 else 1
    service = spec.service.model_copy(update={"first_number": number})
    return spec.model_copy(update={"service": service})


def _others(spec: Spec) -> Iterator[tuple[Host, str]]:
    pool, source = spec.traffic, spec.source
    postgres = (("postgres", source.port),)
    return chain(
        [(Host("pool", pool.host, (("pool", pool.port),)), "PgBouncer")],
        [(Host("source", source.host, postgres), "the old server, for the pool")],
        ((host, "restored instances") for host in backup_hosts(spec)),
    )


def _identity(
    spec: Spec, address: Callable[[str], str], host: Host, used_by: str, *also: Host
) -> Identity:
    all_hosts = (host, *also)
    here = [address(one.lab_address) for one in all_hosts]
    lab = [one.lab_address for one in all_hosts]
    # etcd holds a peer's certificate against where it calls from: on one machine, from there.
    own = [OWN_MACHINE] if "peers" in dict(host.ports) else []
    return Identity(
        name=host.name,
        used_by=used_by,
        names=tuple(f"{one.name}.{spec.environment.private_domain}" for one in all_hosts),
        addresses=tuple(dict.fromkeys((*here, *lab, *own))),
        places=tuple(Place(here[0], port, purpose) for purpose, port in host.ports),
    )
