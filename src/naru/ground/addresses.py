"""Which 127.x network an environment takes, decided from facts alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError

from naru.errors import SpecError, TakenError

AUTO = "auto"
_CANDIDATES = tuple(f"127.{octet}.0.0/16" for octet in range(1, 255))


@dataclass(frozen=True)
class Listener:
    """A process of somebody else that listens; `address` may be 0.0.0.0, meaning everywhere."""

    address: str
    port: int
    holder: str
    """For people: `postgres (pid 4711)`."""


def local_address(lab_address: str, network: str) -> str:
    """10.1.3.32 in the network 127.1.0.0/16 is 127.1.3.32."""
    third, fourth = IPv4Address(lab_address).packed[2:]
    first, second = IPv4Network(network).network_address.packed[:2]
    return f"{first}.{second}.{third}.{fourth}"


def check_network(network: str) -> str:
    """Give `network` in its normal form. Raises SpecError unless it is 127.x.0.0/16."""
    try:
        parsed = IPv4Network(network)
    except (AddressValueError, NetmaskValueError, ValueError) as error:
        raise _not_a_network(network) from error
    if parsed.prefixlen != 16 or parsed.network_address.packed[0] != 127:
        raise _not_a_network(network)
    return str(parsed)


def _not_a_network(network: str) -> SpecError:
    return SpecError(
        f"ground.network {network!r} is not a loopback network",
        remedy="write auto, or a network such as 127.1.0.0/16",
    )


def choose_network(
    setting: str,
    remembered: str | None,
    needed: Sequence[tuple[str, int]],
    listeners: Sequence[Listener],
    claimed: Mapping[str, str],
) -> str:
    """The network to take.

    A network named by `setting`, or `remembered` because data of ours already lives
    there, is taken or refused; with `auto` the first free one is taken. `needed` are lab
    addresses and ports, `listeners` those of others, `claimed` networks that other
    environments hold though they may be down. Raises TakenError naming the holder.
    """
    wanted = remembered if setting == AUTO else check_network(setting)
    if wanted is not None:
        conflict = _conflict(wanted, needed, listeners)
        if conflict:
            raise TakenError(
                f"{conflict}, and this environment needs it (network {wanted})",
                remedy="end that program, or set another ground.network in naru.toml",
            )
        return wanted
    first: str | None = None
    for network in _CANDIDATES:
        if network in claimed:
            continue
        conflict = _conflict(network, needed, listeners)
        if conflict is None:
            return network
        first = first or conflict
    raise TakenError(
        f"no loopback network is free: {first or 'other environments hold all of them'}",
        remedy="end what holds it, or take unused environments away with `naru down --purge`",
    )


def _conflict(
    network: str, needed: Sequence[tuple[str, int]], listeners: Sequence[Listener]
) -> str | None:
    held = {(one.address, one.port): one for one in listeners}
    for lab_address, port in needed:
        address = local_address(lab_address, network)
        for key in ((address, port), ("0.0.0.0", port)):  # noqa: S104
            if key in held:
                return f"{address}:{port} is held by {held[key].holder}"
    return None
