"""The hosts that a spec asks for, by their lab addresses, and the ports they listen on."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

from naru.errors import SpecError
from naru.spec import Spec, etcd_numbers, member_numbers

REST_PORT = 8008
ETCD_CLIENT_PORT = 2379
ETCD_PEER_PORT = 2380


@dataclass(frozen=True)
class Host:
    """A host of the lab; `ports` are pairs of what for, and the port."""

    name: str
    lab_address: str
    ports: tuple[tuple[str, int], ...]


def hosts_of(spec: Spec) -> tuple[Host, ...]:
    """Every host of the environment. Raises SpecError when two want the same address."""
    service = spec.service
    hosts = (
        Host("source", spec.source.host, (("postgres", spec.source.port),)),
        Host("service", service.host, (("writes", service.port), ("reads", service.read_port))),
        *member_hosts(spec),
        *etcd_hosts(spec),
        Host("pool", spec.traffic.host, (("pool", spec.traffic.port),)),
        *backup_hosts(spec),
    )
    seen: dict[tuple[str, int], Host] = {}
    for host in hosts:
        for _, port in host.ports:
            other = seen.setdefault((host.lab_address, port), host)
            if other is not host:
                raise SpecError(
                    f"{host.name} and {other.name} both want {host.lab_address}:{port}",
                    remedy="give one of them another address or port in naru.toml",
                )
    return hosts


def member_hosts(spec: Spec) -> tuple[Host, ...]:
    """The service's PostgreSQL nodes, named by the server prefix and a number."""
    return tuple(member_host(spec, number) for number in member_numbers(spec))


def member_host(spec: Spec, number: int) -> Host:
    """The PostgreSQL node of one number, from 1, whether the spec asks for it or not."""
    service = spec.service
    return Host(
        f"{service.server_prefix}{number}",
        str(IPv4Address(service.first_member) + number - 1),
        (("postgres", service.port), ("patroni", REST_PORT)),
    )


def etcd_hosts(spec: Spec) -> tuple[Host, ...]:
    """The election's nodes."""
    return tuple(etcd_host(spec, number) for number in etcd_numbers(spec))


def etcd_host(spec: Spec, number: int) -> Host:
    """The election's node of one number, from 1."""
    return Host(
        f"etcd{number}",
        str(IPv4Address(spec.service.etcd_host) + number - 1),
        (("clients", ETCD_CLIENT_PORT), ("peers", ETCD_PEER_PORT)),
    )


def backup_hosts(spec: Spec) -> tuple[Host, ...]:
    """Where backups are kept, and those for instances restored beside the service."""
    if not spec.backup.enabled:
        return ()
    return (Host("backup", spec.backup.host, ()), *restored_hosts(spec))


def restored_hosts(spec: Spec) -> tuple[Host, ...]:
    """Hosts for instances restored beside the service; they listen where the service does."""
    return tuple(
        Host(
            f"restored{number + 1}",
            str(IPv4Address(spec.backup.first_restored) + number),
            (("postgres", spec.service.port),),
        )
        for number in range(spec.backup.restored)
    )
