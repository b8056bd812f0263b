"""What stands in a dump's manifest, and in the contents of each of its databases."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from naru.errors import RefusedError
from naru.migrate.database import DatabaseFacts
from naru.migrate.globals import DatabaseGlobals
from naru.migrate.roles import Membership, Role, RoleFacts, Setting
from naru.verify import Digest

FORMAT = "naru dump"
VERSION = 1

Content = Literal["all", "schema", "data"]


@dataclass(frozen=True)
class DumpedFile:
    """A file by its path in the dump, with `/` between folders."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class DumpedDatabase:
    """A database, as it was at its snapshot."""

    name: str
    folder: str
    """Where it lies in the dump, with `/` between folders."""
    begun: str
    """When its snapshot was taken, ISO 8601 in UTC."""
    snapshot: str
    """The transactions that it sees, as pg_current_snapshot() writes them: xmin:xmax:running."""
    position: str
    """The end of the WAL just before the snapshot was taken."""
    encoding: str
    collate: str
    ctype: str
    provider: str
    locale: str | None
    collation_version: str | None
    """Of the collation library, as the database remembers it; None if it has none."""
    bytes: int
    """Size on the source, indexes and all."""
    extensions: tuple[tuple[str, str, str], ...]
    """Name, version and schema of each."""

    def made_as(self) -> DatabaseFacts:
        """How it was made; what is said of it beside that is in its contents."""
        return DatabaseFacts(
            self.encoding, self.collate, self.ctype, self.provider, self.locale, -1, "", None
        )


@dataclass(frozen=True)
class DumpedTable:
    """A table with storage of its own: plain, or a leaf of a partitioned one."""

    schema: str
    name: str
    oid: int
    """On the source; entries of the archive name it so."""
    bytes: int
    rows: int
    """The planner's estimate, -1 if never analysed."""
    of_extension: bool


@dataclass(frozen=True)
class Contents:
    """What one database of a dump holds."""

    tables: tuple[DumpedTable, ...]
    sequences: Mapping[str, tuple[int, bool]]
    """Last value and is_called as the archive sets them, by qualified name."""
    digest: Digest | None
    facts: Mapping[str, Any]
    """For building the schema; see `archive.read_facts`."""
    globals: DatabaseGlobals
    roles: tuple[str, ...]
    """The roles that it needs."""
    settings: tuple[Setting, ...]
    """Settings of roles that hold in this database only."""

    def to_json(self) -> dict[str, Any]:
        shape = {key: value for key, value in self.__dict__.items() if key != "digest"}
        shape["digest"] = self.digest.to_json() if self.digest else None
        return shape

    @classmethod
    def from_json(cls, shape: Mapping[str, Any]) -> Contents:
        said = shape["globals"]
        return cls(
            tables=tuple(DumpedTable(**one) for one in shape["tables"]),
            sequences={name: (value[0], value[1]) for name, value in shape["sequences"].items()},
            digest=Digest.from_json(shape["digest"]) if shape["digest"] else None,
            facts=shape["facts"],
            globals=DatabaseGlobals(
                DatabaseFacts(**said["facts"]),
                tuple((one[0], one[1], one[2]) for one in said["grants"]),
                tuple(Setting(**one) for one in said["settings"]),
            ),
            roles=tuple(shape["roles"]),
            settings=tuple(Setting(**one) for one in shape["settings"]),
        )


@dataclass(frozen=True)
class Manifest:
    """A whole dump."""

    identity: str
    """Random, so that a restore that goes on knows its dump again."""
    naru: str
    begun: str
    ended: str
    server: str
    """The source's version, such as `15.18`."""
    server_major: int
    program: str
    """pg_dump's version."""
    program_major: int
    compression: str
    content: Content
    passwords: bool
    """True if the roles' secrets are in the dump."""
    databases: tuple[DumpedDatabase, ...]
    files: tuple[DumpedFile, ...] = ()

    def database(self, name: str) -> DumpedDatabase:
        """Raises RefusedError if it is not in the dump."""
        for one in self.databases:
            if one.name == name:
                return one
        there = ", ".join(one.name for one in self.databases)
        raise RefusedError(f"the dump holds no database {name}; it holds {there}")

    def to_json(self) -> dict[str, Any]:
        return {"format": FORMAT, "version": VERSION, **asdict(self)}

    @classmethod
    def from_json(cls, shape: Mapping[str, Any]) -> Manifest:
        """Raises RefusedError for another version, KeyError or TypeError for no manifest."""
        known = dict(shape)
        if known.pop("format") != FORMAT:
            raise RefusedError("this is not the manifest of a dump by naru")
        if (version := known.pop("version")) != VERSION:
            raise RefusedError(
                f"the dump is of format {version}; this naru reads {VERSION}",
                remedy=f"restore it by the naru that made it: {known.get('naru')}",
            )
        known["databases"] = tuple(_database(one) for one in known["databases"])
        known["files"] = tuple(DumpedFile(**one) for one in known["files"])
        return cls(**known)


def _database(shape: Mapping[str, Any]) -> DumpedDatabase:
    extensions = tuple((one[0], one[1], one[2]) for one in shape["extensions"])
    return DumpedDatabase(**{**shape, "extensions": extensions})


@dataclass(frozen=True)
class DumpedRoles:
    """The roles that the databases of a dump need, and what holds of them on the whole server."""

    roles: tuple[Role, ...]
    memberships: tuple[Membership, ...]
    settings: tuple[Setting, ...]

    @classmethod
    def from_json(cls, shape: Mapping[str, Any]) -> DumpedRoles:
        return cls(
            tuple(Role(**one) for one in shape["roles"]),
            tuple(Membership(**one) for one in shape["memberships"]),
            tuple(Setting(**one) for one in shape["settings"]),
        )

    def facts(self, contents: Contents, secrets: Mapping[str, str] | None) -> RoleFacts:
        """What one database needs of them, as if it had been observed."""
        return RoleFacts(
            roles={role.name: role for role in self.roles if role.name in contents.roles},
            memberships=self.memberships,
            settings=(*self.settings, *contents.settings),
            secrets=secrets,
        )


def as_text(shape: object) -> str:
    """As it is written into a file: one form, for eyes and for `diff`."""
    return json.dumps(shape, indent=1, ensure_ascii=False, default=_plain) + "\n"


def _plain(value: object) -> Any:
    return asdict(value)  # type: ignore[call-overload]
