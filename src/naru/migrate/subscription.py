"""Making a subscription, also where the server lets only superusers make any."""

from __future__ import annotations

from importlib import resources

from psycopg import sql

from naru.migrate.names import OWN_SCHEMA
from naru.migrate.roles import be_quiet
from naru.migrate.sides import execute_composed
from naru.postgres import Connection, fetch_value

_SUBSTITUTE = sql.Identifier(OWN_SCHEMA, "subscribe")
"""A function of an administrator's that makes one and gives it to its caller: before version
16 nobody else may. docs/reference/privileges.md has its text."""


def substitute_script(login: str) -> str:
    """The statements by which an administrator makes the substitute for `login`."""
    text = resources.files("naru.migrate").joinpath("subscribe.sql").read_text(encoding="utf-8")
    return text.replace("naru_mover", sql.Identifier(login).as_string())


def create_subscription(name: str, conninfo: str, at: Connection, *, streaming: bool) -> None:
    """Make the subscription `name`, disabled, to the publication and slot of that name.

    Its text has a password in it, and is kept out of the server's log as far as our login
    may do that.
    """
    be_quiet(at)
    if has_substitute(at):
        execute_composed(
            at,
            "SELECT {substitute}({name}, {conninfo}, {streaming})",
            substitute=_SUBSTITUTE,
            name=sql.Literal(name),
            conninfo=sql.Literal(conninfo),
            streaming=sql.Literal(streaming),
        )
        return
    execute_composed(
        at,
        "CREATE SUBSCRIPTION {name} CONNECTION {conninfo} PUBLICATION {name} WITH ("
        "create_slot = false, copy_data = false, enabled = false, synchronous_commit = off,"
        " slot_name = {slot}{streaming})",
        name=sql.Identifier(name),
        conninfo=sql.Literal(conninfo),
        slot=sql.Literal(name),
        streaming=sql.SQL(", streaming = on" if streaming else ""),
    )


def has_substitute(connection: Connection) -> bool:
    """True if the substitute is there and our login, no superuser, may call it."""
    query = """
        SELECT current_setting('is_superuser') <> 'on'
           AND CASE WHEN pg_catalog.to_regnamespace(%(schema)s) IS NOT NULL
               AND pg_catalog.has_schema_privilege(%(schema)s, 'USAGE')
               AND pg_catalog.to_regprocedure(%(name)s) IS NOT NULL
               THEN pg_catalog.has_function_privilege(%(name)s, 'EXECUTE') ELSE false END
    """
    name = f"{OWN_SCHEMA}.subscribe(text, text, boolean)"
    return bool(fetch_value(connection, query, {"schema": OWN_SCHEMA, "name": name}))
