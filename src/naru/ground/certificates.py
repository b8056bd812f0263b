"""The environment's certificates on disk: its authority, one file for each server, what is due."""

from __future__ import annotations

import datetime as dt
import functools
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from naru.errors import UsageError
from naru.ground.identities import Identity, Place
from naru.system import Account, private_folder, write_atomically

if TYPE_CHECKING:
    from naru.ground.authority import CertificateFacts, Issued

AUTHORITY_DAYS = 3650
DAYS = 365
WARN_DAYS = 30
"""With fewer days left a certificate is due: `naru up` renews it, status and doctor warn."""

_OWN = "ca.pem"
"""The authority that signs: certificate and key."""


@dataclass(frozen=True)
class Certificate:
    """One certificate of the environment as it stands on disk."""

    name: str
    used_by: str
    file: Path
    subject: str
    names: tuple[str, ...]
    addresses: tuple[str, ...]
    ends: dt.datetime
    serial: str
    days_left: int
    places: tuple[Place, ...] = ()
    """Where it is shown, when what is there runs."""

    @property
    def state(self) -> str:
        """`ok`, `due` or `expired`."""
        return state_of(self.days_left)

    def to_json(self) -> dict[str, Any]:
        """One entry of `naru service certificates --json`."""
        document = {**asdict(self), "file": str(self.file), "ends": self.ends.isoformat()}
        return {**document, "state": self.state}


def state_of(days_left: int) -> str:
    """`ok`, `due` or `expired`, from the whole days that are left (negative: none)."""
    if days_left < 0:
        return "expired"
    return "due" if days_left < WARN_DAYS else "ok"


def worst_of(certificates: Sequence[Certificate]) -> str | None:
    """What is wrong with the one that ends first, in a sentence; None while nothing is due."""
    first = min(certificates, key=lambda one: one.ends, default=None)
    if first is None or first.state == "ok":
        return None
    many = sum(one.state != "ok" for one in certificates)
    more = f", and {many - 1} more are due" if many > 1 else ""
    left = f"in {first.days_left} days" if first.days_left else "within a day"
    when = "has expired" if first.state == "expired" else f"ends {left}"
    return f"the certificate of {first.name} {when}{more}"


def whose_turn(
    wanted: Sequence[Identity], have: Mapping[str, CertificateFacts], authority: str,
    now: dt.datetime,
) -> tuple[str, ...]:  # fmt: skip
    """The names to issue for: missing, due, not (or no longer) of `authority`, or reached by
    other names or addresses than the certificate says."""
    found = []
    for one in wanted:
        facts = have.get(one.name)
        if (
            facts is None
            or facts.signed_by != authority
            or (facts.ends - now).days < WARN_DAYS
            or set(facts.names) != set(one.names)
            or set(facts.addresses) != set(one.addresses)
        ):
            found.append(one.name)
    return tuple(found)


class Certificates:
    """A folder with what is trusted (`ca.crt`), the authority (`ca.pem`), and a file for each name.

    A key, its certificate and the chain are one file, so that no reader ever meets an old key
    beside a new certificate.
    """

    def __init__(
        self, folder: Path, account: Account, title: str, wanted: Callable[[], Sequence[Identity]]
    ) -> None:
        self._folder = folder
        self._account = account
        self._title = title
        self._wanted = wanted

    @property
    def authority(self) -> Path:
        """What a client checks servers by: every authority that is trusted now."""
        return self._folder / "ca.crt"

    def pair(self, name: str) -> Path:
        """The file with key and chain of `name`, issued if it is missing.

        Without an authority, which the first `up` makes, it only says where the file will be.
        """
        path = self._file(name)
        if self.exist and not path.exists():
            self._issue([one for one in self._wanted() if one.name == name])
        return path

    def pair_at(self, address: str) -> Path:
        """As `pair`, for the host at `address` on this ground. Raises UsageError for none."""
        for one in self._wanted():
            if one.addresses[:1] == (address,):
                return self.pair(one.name)
        raise UsageError(f"no host at {address} has a certificate", remedy="run `naru up`")

    @property
    def exist(self) -> bool:
        """False before the first `up` that knew of certificates."""
        return self._own.exists()

    def ensure(self) -> tuple[str, ...]:
        """Issue what is missing, due or no longer true; the names of what was issued."""
        from naru.ground import authority

        if not self.exist:
            self._found()
        self._drop_expired()
        own = authority.read(self._own.read_bytes())
        wanted = self._in_use()
        turn = whose_turn(wanted, self._have(), own.key, _now())
        self._issue([one for one in wanted if one.name in turn])
        return turn

    def renew(self, *, with_authority: bool = False, days: float = DAYS) -> tuple[str, ...]:
        """Issue all of them anew, by a new authority if asked for; give their names.

        A new authority is signed by those before it as well, so that who trusts only an old
        one goes on; and the old ones stay trusted until they end.
        """
        if with_authority:
            self._succeed()
        wanted = self._in_use()
        self._issue(wanted, days=days)
        return tuple(one.name for one in wanted)

    def forget(self, name: str) -> None:
        """Delete the key and the certificate of one that is gone for good."""
        self._file(name).unlink(missing_ok=True)

    def _in_use(self) -> Sequence[Identity]:
        return [one for one in self._wanted() if not one.spare or self._file(one.name).exists()]

    def list(self) -> tuple[Certificate, ...]:
        """Every one that is on disk: the authorities first."""
        from naru.ground import authority

        if not self.exist:
            return ()
        trusted = authority.read_all(self.authority.read_bytes())
        kinds = ("the authority", *["an earlier authority, still trusted"] * (len(trusted) - 1))
        found = [
            _seen("ca", used_by, self.authority, facts)
            for used_by, facts in zip(kinds, trusted, strict=True)
        ]
        have = self._have()
        found += [
            _seen(one.name, one.used_by, self._file(one.name), have[one.name], one.places)
            for one in self._wanted()
            if one.name in have
        ]
        return tuple(found)

    def _have(self) -> dict[str, CertificateFacts]:
        from naru.ground import authority

        files = {one.stem: one for one in self._folder.glob("*.pem") if one.name != _OWN}
        return {name: authority.read(path.read_bytes()) for name, path in files.items()}

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.pem"

    @property
    def _crosses(self) -> Path:
        """Newer authorities as older ones vouch for them: the end of every chain."""
        return self._folder / "ca-chain.crt"

    @property
    def _own(self) -> Path:
        return self._folder / _OWN

    def _signer(self) -> Issued:
        from naru.ground import authority

        both = self._own.read_bytes()
        return authority.Issued(both, both)

    def _found(self) -> None:
        from naru.ground import authority

        made = authority.make_authority(self._next_title(), AUTHORITY_DAYS, _now())
        self._write(self.authority, made.certificate, 0o644)
        self._write(self._own, made.certificate + made.key, 0o600)

    def _next_title(self) -> str:
        return f"naru {self._title} authority {_now():%Y-%m-%d} {secrets.token_hex(3)}"

    def _succeed(self) -> None:
        from naru.ground import authority

        older = self._signer()
        trusted = self.authority.read_bytes()
        newer = authority.make_authority(self._next_title(), AUTHORITY_DAYS, _now())
        known = self._crosses.read_bytes() if self._crosses.exists() else b""
        # It signs from the last write on, when all is there that makes it trusted.
        self._write(self._crosses, authority.cross_sign(newer.certificate, older) + known, 0o644)
        self._write(self.authority, newer.certificate + trusted, 0o644)
        self._write(self._own, newer.certificate + newer.key, 0o600)

    def _drop_expired(self) -> None:
        """Forget authorities that have ended, but never the one that signs."""
        from naru.ground import authority

        for path in (self.authority, self._crosses):
            if path.exists():
                self._write_if_new(path, _alive(authority.split(path.read_bytes())))

    def _issue(self, wanted: Sequence[Identity], *, days: float = DAYS) -> None:
        from naru.ground import authority

        if not wanted:
            return
        signer = self._signer()
        crosses = self._crosses.read_bytes() if self._crosses.exists() else b""
        for one in wanted:
            made = authority.issue(
                one.name, one.names, one.addresses, by=signer, days=days, now=_now()
            )
            self._write(self._file(one.name), made.certificate + crosses + made.key, 0o600)

    def _write_if_new(self, path: Path, content: bytes) -> None:
        if path.read_bytes() != content:
            self._write(path, content, 0o644)

    def _write(self, path: Path, content: bytes, mode: int) -> None:
        private_folder(self._folder, owner=self._account)
        write_atomically(path, content, mode=mode, owner=self._account)


def _alive(certificates: Sequence[bytes]) -> bytes:
    from naru.ground import authority

    kept = [pem for pem in certificates if authority.read(pem).ends > _now()]
    return b"".join(kept or certificates[:1])


def _seen(
    name: str,
    used_by: str,
    file: Path,
    facts: CertificateFacts,
    places: tuple[Place, ...] = (),
) -> Certificate:
    return Certificate(
        name, used_by, file, facts.subject, facts.names, facts.addresses, facts.ends,
        facts.serial, (facts.ends - _now()).days, places,
    )  # fmt: skip


_now = functools.partial(dt.datetime.now, dt.UTC)
