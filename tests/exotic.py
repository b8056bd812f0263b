"""A database with every kind of object, and rows that are hard to carry, on any version."""

from __future__ import annotations

from pathlib import Path

from psycopg import sql

from naru.postgres import Dsn, LocalServer, connect
from naru.system import run
from tests.migration import drop_database
from tests.servers import clients

ROLES = ("exotic owner", "exotic member", "exotic reader")

_SCRIPT = Path(__file__).parent / "integration" / "sql" / "exotic.sql"


def fill_exotic(source: Dsn, *, wide: int = 20_000) -> None:
    """Fill an empty database with what its version has of everything.

    `wide` is how often the widest value repeats its 22 bytes.
    """
    given = {
        **dict(zip(("owner", "member", "reader"), ROLES, strict=True)),
        "database": source.database,
        "wide": str(wide),
    }
    words = [word for name, value in given.items() for word in ("-v", f"{name}={value}")]
    psql = clients().tool("psql")
    run([psql, "-X", "-q", *words, "-f", _SCRIPT], seconds=120, env=source.environment())


def drop_exotic(database: str, *servers: LocalServer) -> None:
    """Drop the database and its roles from servers that may have them."""
    for server in servers:
        drop_database(server, database)
        with connect(server.dsn(), purpose="test") as connection:
            for role in ROLES:
                name = sql.Identifier(role)
                connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(name))
