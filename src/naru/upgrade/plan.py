"""Whether the service can be brought to another major version now, and what that means."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from naru.errors import RefusedError, UsageError
from naru.service import Place, next_place

ROOM = 1.3
"""How much larger than the databases the new members may become: indexes made anew are
smaller, WAL of the copy comes on top."""

MAINTENANCE = "postgres"
"""The database that belongs to the cluster itself: every cluster has its own."""


@dataclass(frozen=True)
class UpgradeFacts:
    """What decides about an upgrade."""

    live: Place
    base: str
    """The cluster's name in naru.toml."""
    wanted: int
    members: int
    protection: str
    """`full`, `reduced` or `none`, and why: see `naru.service.judge`."""
    sentence: str
    databases: tuple[tuple[str, int], ...]
    """Name and bytes of each that takes connections, without `postgres`."""
    in_maintenance: tuple[str, ...]
    """What users keep in the database `postgres`."""
    tablespaces: tuple[str, ...]
    migrations: tuple[str, ...]
    """Migrations that are under way in this environment."""
    pooled: tuple[str, ...]
    """The databases that the pool sends to the service."""
    taken: tuple[str, ...]
    """Addresses that the new members would have and somebody else has."""
    free_bytes: int
    unfinished: tuple[str, ...] = ()
    """What a scale has still to do: see `naru.service.unfinished_scale`."""
    lacks_tls: bool = False
    """Whether the wanted PostgreSQL, as it is installed here, was built without TLS."""


@dataclass(frozen=True)
class UpgradePlan:
    """From where to where, with what, and what to know before."""

    old: Place
    new: Place
    databases: tuple[str, ...]
    pooled: tuple[str, ...]
    bytes: int
    warnings: tuple[str, ...]


def plan_upgrade(facts: UpgradeFacts) -> UpgradePlan:
    """Decide. Raises UsageError for a version that is none, RefusedError with everything that
    stands in the way and what to do about it."""
    have = int(facts.live.version)
    if facts.wanted == have:
        raise UsageError(
            f"the service runs PostgreSQL {have} already",
            remedy="a new minor version: `naru service upgrade --minor`",
        )
    if facts.wanted < have:
        raise UsageError(
            f"the service runs PostgreSQL {have}: there is no way down to {facts.wanted}",
            remedy=f"name a version above {have}",
        )
    hindrances = list(_hindrances(facts))
    if hindrances:
        listed = "".join(f"\n  {what}" for what, _ in hindrances)
        raise RefusedError(
            f"cluster {facts.live.name} cannot be upgraded now:{listed}",
            remedy="; ".join(remedy for _, remedy in hindrances),
        )
    return UpgradePlan(
        old=facts.live,
        new=next_place(facts.live, facts.base, str(facts.wanted)),
        databases=tuple(name for name, _ in facts.databases),
        pooled=facts.pooled,
        bytes=sum(size for _, size in facts.databases),
        warnings=tuple(_warnings(facts)),
    )


def _hindrances(facts: UpgradeFacts) -> Iterator[tuple[str, str]]:
    if facts.protection == "none":
        yield facts.sentence, "see `naru service status`; wait until the service takes writes"
    if facts.unfinished:
        yield (
            f"a scale is not finished: {'; '.join(facts.unfinished)}",
            "`naru service scale` first",
        )
    if facts.lacks_tls:
        yield (
            f"PostgreSQL {facts.wanted} as it is installed here was built without TLS, and the"
            " service speaks nothing else",
            "install one that was built with OpenSSL, such as the distribution's",
        )
    if not facts.databases:
        yield "there is no database to bring across", "run `naru up` first"
    if facts.in_maintenance:
        yield (
            f"the database {MAINTENANCE} holds {', '.join(facts.in_maintenance[:3])}:"
            " it belongs to the cluster and does not come across",
            "move that into a database of its own, or drop it",
        )
    if facts.tablespaces:
        yield (
            f"there are tablespaces ({', '.join(facts.tablespaces)}), which new members lack",
            "move what is in them: ALTER DATABASE … SET TABLESPACE pg_default, and drop them",
        )
    if facts.migrations:
        yield (
            f"a migration is under way: {', '.join(facts.migrations)}",
            "`naru migrate finish` or `naru migrate abort` first",
        )
    if facts.taken:
        yield (
            f"the new members' addresses are taken: {', '.join(facts.taken)}",
            "give those hosts other addresses in naru.toml",
        )
    needed = int(sum(size for _, size in facts.databases) * facts.members * ROOM)
    if needed > facts.free_bytes:
        yield (
            f"the new members need about {needed:,} bytes, and {facts.free_bytes:,} are free",
            "make room on the disk that holds the state",
        )


def _warnings(facts: UpgradeFacts) -> Iterator[str]:
    if facts.protection == "reduced":
        yield facts.sentence
    direct = [name for name, _ in facts.databases if name not in facts.pooled]
    if direct:
        yield (
            f"the pool does not serve {', '.join(direct)}: their clients are cut off at the"
            " switch and have to connect again"
        )
    yield (
        "clients that use the service's own port, past the pool, are cut off at the switch; when"
        " they connect again, at the same address, they are at the new version"
    )
