"""The lab's database for a test: made once on a server, and copied from then on."""

from __future__ import annotations

from psycopg import sql

from naru.lab.creativity import create
from naru.lab.creativity.roles import make_roles
from naru.postgres import Connection, LocalServer, connect, fetch_all

PASSWORDS = {"app_user": "an-app-Password.1", "web_user": "a-web-Password.1"}
SCALE = 0.01

_SEED = 7
_OF_THE_DATABASE = (
    "GRANT CONNECT ON DATABASE {} TO app_read",
    "ALTER DATABASE {} SET timezone = 'Asia/Seoul'",
    "COMMENT ON DATABASE {} IS '창작 플랫폼'",
)
"""What a copy does not take along."""


def make_lab(server: LocalServer, database: str, *, scale: float = SCALE) -> None:
    """Make the lab's content and its roles, as `naru.lab.creativity.create` does."""
    template = f"naru_lab_{scale}"
    with connect(server.dsn(), purpose="test") as control:
        names = {"database": sql.Identifier(database), "template": sql.Identifier(template)}
        if not fetch_all(control, "SELECT FROM pg_database WHERE datname = %s", [template]):
            create(server.dsn(), template, scale=scale, seed=_SEED, passwords=PASSWORDS)
            closed = sql.SQL("ALTER DATABASE {template} IS_TEMPLATE true ALLOW_CONNECTIONS false")
            control.execute(closed.format(**names))
        make_roles(control, PASSWORDS)
        control.execute(sql.SQL("CREATE DATABASE {database} TEMPLATE {template}").format(**names))
        for statement in _OF_THE_DATABASE:
            control.execute(sql.SQL(statement).format(names["database"]))
        assert _attributes(control, database) == _attributes(control, template)


def _attributes(control: Connection, database: str) -> list[tuple[object, ...]]:
    """Whatever of a database is not inside it."""
    query = """
        SELECT datdba, datacl, encoding, datcollate, datctype, datconnlimit, dattablespace,
            shobj_description(oid, 'pg_database'),
            ARRAY (SELECT (setrole, setconfig)::text FROM pg_db_role_setting
                   WHERE setdatabase = d.oid ORDER BY 1)
        FROM pg_database d WHERE datname = %s
    """
    return fetch_all(control, query, [database])
