"""Who belongs to the service now: what `scale` changes step by step, and every start reads.

The spec says who should belong; this file, who does. Between the two lies what a `scale`
has still to do, also one that was killed.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from naru.ground import Ground
from naru.spec import Spec, etcd_numbers, member_numbers
from naru.system import write_atomically

IN, JOINING, LEAVING = "in", "joining", "leaving"


@dataclass(frozen=True)
class Seat:
    """One node of the election. `peers`: the numbers that it began with; a program that is
    started otherwise than before is restarted, so this never changes."""

    peers: tuple[int, ...]
    joined: bool = False
    """It came to a cluster that there was."""
    state: str = IN


@dataclass(frozen=True)
class Membership:
    """Members and election nodes by number, each with how far it is: `IN` it, or on its way."""

    members: Mapping[int, str]
    etcd: Mapping[int, Seat]

    @classmethod
    def of(cls, spec: Spec) -> Self:
        """As the spec asks for, all at once: how a cluster begins."""
        numbers = etcd_numbers(spec)
        return cls(
            dict.fromkeys(member_numbers(spec), IN), {number: Seat(numbers) for number in numbers}
        )

    @property
    def voters(self) -> tuple[int, ...]:
        """The election's nodes that count."""
        return tuple(sorted(n for n, seat in self.etcd.items() if seat.state == IN))

    def with_member(self, number: int, state: str) -> Membership:
        return replace(self, members=dict(sorted({**self.members, number: state}.items())))

    def without_member(self, number: int) -> Membership:
        return replace(self, members={n: s for n, s in self.members.items() if n != number})

    def with_etcd(self, number: int, seat: Seat) -> Membership:
        return replace(self, etcd=dict(sorted({**self.etcd, number: seat}.items())))

    def without_etcd(self, number: int) -> Membership:
        return replace(self, etcd={n: seat for n, seat in self.etcd.items() if n != number})

    def to_json(self) -> dict[str, Any]:
        return {
            "members": {str(number): state for number, state in self.members.items()},
            "etcd": {
                str(number): {"peers": list(seat.peers), "joined": seat.joined, "state": seat.state}
                for number, seat in self.etcd.items()
            },
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        return cls(
            {int(number): state for number, state in document["members"].items()},
            {
                int(number): Seat(tuple(seat["peers"]), seat["joined"], seat["state"])
                for number, seat in document["etcd"].items()
            },
        )


class MembershipFile:
    """Where the membership of one cluster is kept; before its first start there is none.

    The election serves all clusters of the environment, so it has a file of its own.
    """

    def __init__(self, spec: Spec, ground: Ground) -> None:
        self._spec = spec
        self._ground = ground

    @property
    def _members(self) -> Path:
        name = f"{self._spec.service.cluster_name}.membership"
        return self._ground.folder / "data" / name

    @property
    def _etcd(self) -> Path:
        return self._ground.folder / "data" / "etcd.membership"

    @property
    def exists(self) -> bool:
        """False before the first start, and for a service made before anybody could come or go."""
        return self._members.exists()

    def read(self) -> Membership:
        """Who belongs now; before the first start, who will."""
        document = Membership.of(self._spec).to_json()
        for key, path in (("members", self._members), ("etcd", self._etcd)):
            with contextlib.suppress(FileNotFoundError):
                document[key] = json.loads(path.read_text())
        return Membership.from_json(document)

    def begin(self) -> None:
        """Note who the cluster and the election began with, unless that was done."""
        self.write(self.read())

    def write(self, membership: Membership) -> None:
        """Note a change, so that it outlives this process."""
        document = membership.to_json()
        for key, path in (("members", self._members), ("etcd", self._etcd)):
            text = json.dumps(document[key], indent=2) + "\n"
            with contextlib.suppress(FileNotFoundError):
                if path.read_text() == text:
                    continue
            write_atomically(path, text, owner=self._ground.account)

    def forget(self) -> None:
        """Let the members begin anew, as the spec says; the election stays."""
        self._members.unlink(missing_ok=True)
