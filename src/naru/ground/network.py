"""The network of 127/8 that an environment holds: taken at its first `up`, kept with its data."""

from __future__ import annotations

import json
from pathlib import Path

from naru.errors import UsageError
from naru.ground import claims, processes
from naru.ground.access import Allowed, networks_of
from naru.ground.addresses import AUTO, check_network, choose_network, local_address
from naru.ground.hosts import hosts_of
from naru.spec import Spec
from naru.system import Account, write_atomically


class Network:
    """Where the hosts of one environment are on this machine; noted in its folder of state."""

    def __init__(self, spec: Spec, folder: Path, account: Account) -> None:
        self._spec = spec
        self._folder = folder
        self._account = account

    @property
    def held(self) -> str | None:
        """In CIDR notation; None before the first `up`."""
        try:
            return str(json.loads(self._note.read_text())["network"])
        except (OSError, ValueError, KeyError):
            return None

    @property
    def _note(self) -> Path:
        return self._folder / "ground.json"

    def take(self) -> None:
        """Claim the one of the spec, or a free one. Data know their addresses: once there are
        any, it stays."""
        needed = [
            (host.lab_address, port) for host in hosts_of(self._spec) for _, port in host.ports
        ]
        listeners = processes.foreign_listeners(self._folder, {port for _, port in needed})
        has_data = any((self._folder / "data").iterdir())
        setting, remembered = self._spec.ground.network, self.held if has_data else None
        while True:
            others = claims.claimed_by_others(self._folder)
            network = choose_network(setting, remembered, needed, listeners, others)
            if claims.claim(network, self._folder) or setting != AUTO or remembered:
                break
        if remembered is not None and remembered != network:
            claims.release(remembered, self._folder)
        note = json.dumps({"kind": "loopback", "network": network}) + "\n"
        write_atomically(self._note, note, owner=self._account)

    def release(self) -> None:
        """Let others have it. Harmless when none is held."""
        if (network := self.held) is not None:
            claims.release(network, self._folder)

    def check_kept(self) -> None:
        """Raise UsageError when the spec names another one while programs run in this one."""
        setting = self._spec.ground.network
        if setting != AUTO and check_network(setting) != self.held:
            raise UsageError(
                f"ground.network is now {setting}, but the environment runs in {self.held}",
                remedy="`naru down` first",
            )

    def address(self, lab_address: str) -> str:
        """127.x address of a host of the lab. Raises UsageError before the first `up`."""
        return local_address(lab_address, self._must_be_held())

    def allowed(self) -> tuple[Allowed, ...]:
        """From where clients are let in, this machine first. Raises as `address`."""
        return networks_of(self._spec.service.allowed, self._must_be_held())

    def _must_be_held(self) -> str:
        network = self.held
        if network is None:
            raise UsageError("this environment is not up", remedy="run `naru up`")
        return network
