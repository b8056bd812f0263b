"""Assess: can this database be brought across, and what has to be done first."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from naru.errors import NotPermittedError, RefusedError, UnreachableError
from naru.migrate import identity
from naru.migrate.catalog import read_objects
from naru.migrate.collations import refused_collations
from naru.migrate.database import count_large_objects, has_begun, is_absent, read_content
from naru.migrate.decide import decide, identity_plan
from naru.migrate.facts import SHOWN, Extension, Facts, Names, TargetState
from naru.migrate.findings import Finding
from naru.migrate.observe import read_activity, read_server, read_size
from naru.migrate.rights import extension_refused, observe_rights
from naru.migrate.roles import RolePlan, be_quiet, observe_roles, plan_roles
from naru.migrate.sides import Side
from naru.migrate.versions import OLDEST
from naru.postgres import Connection, Dsn, explain, fetch_all, find_installations
from naru.system import SILENT, Observer


@dataclass(frozen=True)
class Assessment:
    """What was found, and the facts it was found from."""

    facts: Facts
    findings: tuple[Finding, ...]

    @property
    def blocked(self) -> bool:
        return any(one.severity == "blocking" for one in self.findings)

    def grants(self, side: str) -> tuple[str, ...]:
        """Statements that give the rights that are missing on `source` or `target`, each once."""
        wanted = [f"{one.grant};" for one in self.findings
                  if one.grant and one.code.startswith(f"{side}.")]  # fmt: skip
        return tuple(dict.fromkeys(wanted))

    def to_json(self) -> dict[str, Any]:
        """`{"blocked": …, "facts": …, "findings": […], "identity_plan": […]}`."""
        return {
            "blocked": self.blocked,
            "facts": self.facts.to_json(),
            "findings": [one.to_json() for one in self.findings],
            "identity_plan": [one.to_json() for one in identity_plan(self.facts)],
        }


def assess(
    source: Dsn,
    target: Dsn,
    *,
    jobs: int = 2,
    source_seen_at: str | None = None,
    programs: Sequence[Path] = (),
    measure: bool = True,
    databases: int = 1,
    observer: Observer = SILENT,
) -> Assessment:
    """Look at both sides and judge. Changes nothing on either.

    With `measure`, a second or two are spent on how fast the source is read and written.
    `source_seen_at` is `host:port` under which the target's server reaches the source;
    `databases` is how many are to be followed between these servers, all to begin with.
    Raises UnreachableError or NotPermittedError when one side cannot be read.
    """
    facts = observe(
        Side.of("source", source, source_seen_at), Side.of("target", target),
        jobs=jobs, programs=programs, measure=measure, databases=databases, observer=observer,
    )  # fmt: skip
    return Assessment(facts, decide(facts))


def observe(
    source: Side,
    target: Side,
    *,
    jobs: int = 2,
    programs: Sequence[Path] = (),
    measure: bool = True,
    databases: int = 1,
    observer: Observer = SILENT,
) -> Facts:
    """Read the facts of both sides, in a few queries over whole catalogs."""
    with (
        source.connect("assess") as here,
        source.connect("assess sizes") as measuring,
        _on_target(target) as (there, exists),
        ThreadPoolExecutor(1, thread_name_prefix="naru-assess") as pool,
    ):
        _must_be_new_enough(source, here)
        try:
            # The sizes of many tables take as long as all the rest.
            size = pool.submit(read_size, measuring, measure=measure)
            server = read_server(here)
            observer.note(f"source: PostgreSQL {server.major}, {server.database}")
            plan = plan_roles(observe_roles(here), observe_roles(there, all_roles=True))
            return Facts(
                source=server,
                target=replace(read_server(there), database=target.dsn.database),
                activity=read_activity(source, here, server),
                state=_read_target(here, there, source, plan, exists=exists),
                programs=tuple(sorted({one.major for one in find_installations(programs)})),
                jobs=jobs,
                identities=tuple(identity.observe(here)),
                extensions=tuple(_read_extensions(here, there, exists=exists)),
                objects=read_objects(here),
                rights=observe_rights(here, there, plan, exists=exists),
                size=size.result(),
                databases=databases,
            )
        except psycopg.Error as error:
            raise explain(error, source.dsn, "reading catalogs for the assessment") from error


def _must_be_new_enough(source: Side, here: Connection) -> None:
    """Older catalogs lack what is asked of them: nothing more than this can be found."""
    major = here.info.server_version // 10000
    if major < OLDEST:
        raise RefusedError(
            f"{source}: version {major} is older than PostgreSQL {OLDEST}, and cannot be followed",
            remedy="move it by pg_dump",
        )


@contextlib.contextmanager
def _on_target(target: Side) -> Iterator[tuple[Connection, bool]]:
    """A connection to the target database, or to its server if there is none yet."""
    try:
        connection = target.connect("assess")
    except (NotPermittedError, UnreachableError):
        if not is_absent(target.dsn):
            raise
        other = Side.of("target", target.dsn.with_(dbname="postgres"))
        with other.connect("assess") as connection:
            yield connection, False
        return
    with connection:
        yield connection, True


_COLLATIONS_USED = """
SELECT DISTINCT o.collname::text FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_collation o ON o.oid = a.attcollation
JOIN pg_catalog.pg_namespace n ON n.oid = o.collnamespace
WHERE n.nspname = 'pg_catalog' AND a.attrelid >= 16384 ORDER BY 1
"""

_COLLATIONS_THERE = """
SELECT c.collname::text FROM pg_catalog.pg_collation c
JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace
WHERE n.nspname = 'pg_catalog' AND c.collname = ANY(%s)
  AND c.collencoding IN (-1, (SELECT encoding FROM pg_catalog.pg_database
                              WHERE datname = pg_catalog.current_database()))
"""


def _read_target(
    here: Connection, there: Connection, source: Side, plan: RolePlan, *, exists: bool
) -> TargetState:
    total, names = read_content(there, SHOWN) if exists else (0, ())
    refused, untried = _try_reach(source, here, there)
    used = [row[0] for row in fetch_all(here, _COLLATIONS_USED)]
    have = {row[0] for row in fetch_all(there, _COLLATIONS_THERE, [used])}
    return TargetState(
        exists=exists,
        content=Names(total, names),
        large_objects=count_large_objects(there) if exists else 0,
        begun=exists and has_begun(there),
        reach_refused=refused,
        reach_untried=untried and not exists,
        missing_roles=len(plan.create),
        missing_collations=(
            *(name for name in used if name not in have),
            *refused_collations(here, there),
        ),
    )


_NO_PASSWORD = "2F003"  # noqa: S105 - an SQLSTATE


def _try_reach(source: Side, here: Connection, there: Connection) -> tuple[str | None, bool]:
    """Why the target's server cannot log in at the source (None if it can), and whether
    that could not be tried here.

    A subscription is made for nothing and rolled back: it connects, and leaves nothing.
    """
    if _is_socket(source, here) and not _is_local(there.info.host):
        return "its address is a socket, which that server would look for at its own host", False
    be_quiet(there)
    text = sql.SQL(
        "CREATE SUBSCRIPTION naru_assess CONNECTION {} PUBLICATION naru_assess WITH"
        " (connect = true, create_slot = false, enabled = false, slot_name = NONE,"
        " copy_data = false)"
    ).format(sql.Literal(source.conninfo_for_peer(here)))
    there.execute("SET statement_timeout = '15s'")
    try:
        with there.transaction(force_rollback=True):
            there.execute(text)
    except psycopg.errors.InsufficientPrivilege as error:
        # The want of a password is told so as well, once the source has been reached.
        said = _said(error)
        return (said, False) if "password" in said else (None, True)
    except psycopg.errors.ConnectionFailure as error:
        return _said(error), False
    except psycopg.Error as error:
        # A source without our publication is refused too, after it has been reached.
        said = _said(error)
        refused = error.sqlstate == _NO_PASSWORD or "connect" in said or "password" in said
        return (said if refused else None), False
    finally:
        there.execute("SET statement_timeout = 0")
    return None, False


def _is_socket(source: Side, here: Connection) -> bool:
    return source.seen.parameters.get("host", here.info.host).startswith(("/", "@"))


def _is_local(host: str) -> bool:
    return host.startswith(("/", "@", "127.", "localhost", "::1"))


def _said(error: psycopg.Error) -> str:
    return " ".join((error.diag.message_primary or "refused").split())


_EXTENSIONS = "SELECT extname::text, extversion FROM pg_catalog.pg_extension ORDER BY 1"

_AVAILABLE = """
SELECT e.name::text, e.default_version,
       ARRAY(SELECT v.version FROM pg_catalog.pg_available_extension_versions v
             WHERE v.name = e.name)
FROM pg_catalog.pg_available_extensions e WHERE e.name = ANY(%s)
"""


def _read_extensions(here: Connection, there: Connection, *, exists: bool) -> Iterator[Extension]:
    used = fetch_all(here, _EXTENSIONS)
    rows = fetch_all(there, _AVAILABLE, [[name for name, _ in used]])
    have = {name: (default, versions) for name, default, versions in rows}
    for name, version in used:
        default, versions = have.get(name, (None, []))
        refused = extension_refused(there, name, exists=exists) if default else None
        yield Extension(name, version, default, version in versions, refused)
