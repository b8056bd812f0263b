"""The service's own database and user, made once the cluster takes writes."""

from __future__ import annotations

import base64

from psycopg import sql

from naru.postgres import Connection, Dsn, connect, fetch_value, scram_secret
from naru.spec import ServiceSpec


def create_database_and_user(service: ServiceSpec, superuser: Dsn, password: str) -> None:
    """Make what is missing: the user (may log in, make roles and databases) and its database.

    The password is set again only if the stored secret is not of this password.
    """
    with connect(superuser, purpose="service accounts") as connection:
        user, name = sql.Identifier(service.user), sql.Identifier(service.database)
        known = fetch_value(connection, "SELECT 1 FROM pg_roles WHERE rolname = %s", [service.user])
        if not known:
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN CREATEDB CREATEROLE").format(user))
        if not _has_password(connection, service.user, password):
            secret = sql.Literal(scram_secret(password))
            # The audit logs definitions, and a secret does not belong into a log.
            connection.execute("SET log_statement = 'none'")
            connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(user, secret))
            connection.execute("RESET log_statement")
        if not fetch_value(
            connection, "SELECT 1 FROM pg_database WHERE datname = %s", [service.database]
        ):
            connection.execute(
                sql.SQL(
                    "CREATE DATABASE {} OWNER {} TEMPLATE template0 ENCODING {} LOCALE {}"
                ).format(name, user, sql.Literal(service.encoding), sql.Literal(service.locale))
            )


def _has_password(connection: Connection, user: str, password: str) -> bool:
    stored = fetch_value(connection, "SELECT rolpassword FROM pg_authid WHERE rolname = %s", [user])
    return isinstance(stored, str) and matches(stored, password)


def matches(stored: str, password: str) -> bool:
    """True if the SCRAM secret `stored` was made of `password`."""
    kind, _, rest = stored.partition("$")
    salt = rest.partition("$")[0].partition(":")[2]
    return kind == "SCRAM-SHA-256" and stored == scram_secret(password, base64.b64decode(salt))
