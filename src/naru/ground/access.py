"""From which addresses clients are let in: the spec's networks as they lie on a ground."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from ipaddress import AddressValueError, IPv4Address, IPv4Network
from typing import Any

from naru.errors import UsageError
from naru.ground.addresses import local_address

OWN_MACHINE = "127.0.0.1"
"""From where programs on this machine come that have no host of the lab: naru, the pool, the
backups, and servers that call each other. It is always let in."""

LAB = IPv4Network("10.1.0.0/16")


@dataclass(frozen=True)
class Allowed:
    """A network whose clients are let in."""

    declared: str
    """As naru.toml has it."""
    network: str
    """As it lies on this ground, in CIDR notation."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Admission:
    """Whether an address is let in, and by what."""

    address: str
    """On this ground."""
    allowed: bool
    by: str | None
    """The entry that lets it in; None if none does."""

    def to_json(self) -> dict[str, Any]:
        """The stable document of `naru service access ADDRESS --json`."""
        return asdict(self)


@dataclass(frozen=True)
class OpenSession:
    """A client that is connected at one of the doors: where it comes from."""

    door: str
    """`writes`, `reads`, `pool`, or `restored NAME`."""
    address: str
    port: int
    about: str = ""
    """What is known of it: `user@database`."""
    handle: str = ""
    """By what its door knows it."""

    def to_json(self) -> dict[str, Any]:
        """One entry of `sessions` in `naru service access --json`."""
        document = asdict(self)
        del document["handle"]
        return document


def outside(sessions: Iterable[OpenSession], allowed: Sequence[Allowed]) -> tuple[OpenSession, ...]:
    """Those that would not be let in if they came now."""
    networks = [IPv4Network(one.network) for one in allowed]
    return tuple(
        one
        for one in sessions
        if not any(IPv4Address(one.address) in network for network in networks)
    )


def networks_of(declared: Sequence[str], network: str) -> tuple[Allowed, ...]:
    """Every network that is let in, where the lab lies in `network`: this machine first."""
    own = Allowed("this machine", f"{OWN_MACHINE}/32")
    return (own, *(Allowed(one, local_network(one, network)) for one in declared))


def local_network(declared: str, network: str) -> str:
    """Where a network of the lab lies in `network`; one outside the lab stays what it is.

    Of one that holds the lab and more, that is the lab; of all addresses, all of them.
    """
    found = IPv4Network(declared)
    if found.prefixlen == 0 or not found.overlaps(LAB):
        return str(found)
    if found.supernet_of(LAB):
        return network
    return f"{local_address(str(found.network_address), network)}/{found.prefixlen}"


def admission(address: str, allowed: Sequence[Allowed], local: Callable[[str], str]) -> Admission:
    """Whether `address`, of the lab or of this ground, is let in. Raises UsageError."""
    try:
        given = IPv4Address(address)
    except AddressValueError:
        raise UsageError(
            f"{address!r} is not an IPv4 address", remedy="write one such as 10.1.2.121"
        ) from None
    here = IPv4Address(local(address)) if given in LAB else given
    by = next((one.declared for one in allowed if here in IPv4Network(one.network)), None)
    return Admission(str(here), by is not None, by)
