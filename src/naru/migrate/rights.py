"""What our logins may do on both sides, beyond what their attributes say: read, not judged."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import psycopg
from psycopg import sql

from naru.migrate import admittance
from naru.migrate.admittance import Lack
from naru.migrate.ownership import Owner, Standing, read_owners, read_standing
from naru.migrate.reserved import ReservedRole
from naru.migrate.roles import RolePlan
from naru.migrate.subscription import has_substitute
from naru.postgres import Connection, fetch_all, fetch_value

_PROBE = (
    "CREATE SUBSCRIPTION naru_assess CONNECTION 'host=127.0.0.1 password=none'"
    " PUBLICATION naru_assess WITH (connect = false, slot_name = NONE, enabled = false,"
    " create_slot = false)"
)


@dataclass(frozen=True)
class Rights:
    """What a fence and a subscription would meet, and for whom our login acts."""

    source_fence: tuple[Lack, ...] = ()
    target_fence: tuple[Lack, ...] = ()
    way_back_refused: str | None = None
    """Why the source's server lets our login make no subscription."""
    logged: tuple[str, ...] = ()
    """Sides (`source`, `target`) whose log takes statements that our login cannot keep out."""
    owners: tuple[Owner, ...] = ()
    standing: Mapping[str, Standing] = field(default_factory=dict)
    """On the target, of those owners that are there already."""
    need_password: tuple[str, ...] = ()
    """Roles that log in, and are made on the target without a password."""
    memberships: tuple[tuple[str, str], ...] = ()
    """Group and member: what our login may not grant on the target."""
    left_out: tuple[ReservedRole, ...] = ()
    """Roles named `naru_…` that the target does not have."""
    wrappers: tuple[str, ...] = ()
    """Foreign data wrappers that our login may not use on the target."""


def observe_rights(here: Connection, there: Connection, plan: RolePlan, *, exists: bool) -> Rights:
    """Read the rights of our logins at the source and at the target.

    Where the target database is still to be made (`exists` false), what depends on it is
    taken to be ours then.
    """
    owners = read_owners(here)
    fence = admittance.lacking(there)
    if not exists:
        fence = tuple(one for one in fence if one.what in ("sight", "signal"))
    return Rights(
        source_fence=admittance.lacking(here),
        target_fence=fence,
        way_back_refused=_way_back_refused(here),
        logged=tuple(
            role for role, side in (("source", here), ("target", there)) if _is_logged(side)
        ),
        owners=owners,
        standing=read_standing(there, [one.name for one in owners]),
        need_password=plan.need_password,
        memberships=_not_ours_to_grant(there, plan),
        left_out=plan.left_out,
        wrappers=_wrappers(here, there) if exists else (),
    )


def _way_back_refused(connection: Connection) -> str | None:
    """What the server says to a subscription that is made for nothing and rolled back."""
    if has_substitute(connection):
        return None
    try:
        with connection.transaction(force_rollback=True):
            connection.execute("SET LOCAL client_min_messages = 'error'")
            connection.execute(_PROBE)
    except psycopg.errors.InsufficientPrivilege as error:
        return " ".join((error.diag.message_primary or "refused").split())
    except psycopg.Error:
        return None  # no slot left for another, for instance: not a matter of rights
    return None


def _is_logged(connection: Connection) -> bool:
    """True if statements are logged, and our login may not switch that off for itself."""
    query = "SELECT current_setting('log_statement') <> 'none'"
    if not fetch_value(connection, query):
        return False
    with contextlib.suppress(psycopg.errors.InsufficientPrivilege):
        with connection.transaction(force_rollback=True):
            connection.execute("SET LOCAL log_statement = 'none'")
        return False
    return True


def _not_ours_to_grant(there: Connection, plan: RolePlan) -> tuple[tuple[str, str], ...]:
    """Memberships of the plan in roles that are there already and not ours to administer."""
    made = {one.name for one in plan.create}
    wanted = [one for one in plan.grant if one.group not in made]
    standing = read_standing(there, [one.group for one in wanted])
    return tuple(
        (one.group, one.member)
        for one in wanted
        if one.group in standing and not standing[one.group].may_join
    )


def _wrappers(here: Connection, there: Connection) -> tuple[str, ...]:
    used = fetch_all(
        here,
        "SELECT DISTINCT w.fdwname::text FROM pg_catalog.pg_foreign_server s"
        " JOIN pg_catalog.pg_foreign_data_wrapper w ON w.oid = s.srvfdw ORDER BY 1",
    )
    refused = fetch_all(
        there,
        "SELECT fdwname::text FROM pg_catalog.pg_foreign_data_wrapper WHERE fdwname = ANY (%s)"
        " AND NOT pg_catalog.has_foreign_data_wrapper_privilege(oid, 'USAGE') ORDER BY 1",
        [[row[0] for row in used]],
    )
    return tuple(row[0] for row in refused)


_INSTALLED = "SELECT 1 FROM pg_catalog.pg_extension WHERE extname = %s"
_TRUSTED = """
SELECT NOT v.superuser OR v.trusted FROM pg_catalog.pg_available_extension_versions v
JOIN pg_catalog.pg_available_extensions e USING (name)
WHERE name = %s AND v.version = e.default_version
"""


def extension_refused(there: Connection, name: str, *, exists: bool) -> str | None:
    """Why our login may not make an extension on the target; None if it may.

    Some services let a login make what PostgreSQL itself would not: so it is tried, for
    nothing, where there is a database to try it in.
    """
    if fetch_value(there, "SELECT current_setting('is_superuser') = 'on'"):
        return None
    if there.info.server_version >= 130000 and fetch_value(there, _TRUSTED, [name]):
        return None
    if not exists:
        return "may be made by superusers only, and there is no database yet to try it in"
    if fetch_value(there, _INSTALLED, [name]):
        return None
    try:
        with there.transaction(force_rollback=True):
            there.execute(sql.SQL("CREATE EXTENSION {} CASCADE").format(sql.Identifier(name)))
    except psycopg.errors.InsufficientPrivilege as error:
        return " ".join((error.diag.message_primary or "refused").split())
    except psycopg.Error:
        return None
    return None
