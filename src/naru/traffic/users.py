"""PgBouncer's list of users, taken from a server's own SCRAM secrets.

With the same secret on both sides PgBouncer checks a client and logs in to the server as
that client, and never learns the password.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import psycopg

from naru.postgres import Dsn, connect, explain, fetch_all

_SECRETS = """
    SELECT rolname, rolpassword FROM pg_catalog.pg_authid
    WHERE rolcanlogin AND NOT rolsuper AND NOT rolreplication
      AND rolpassword LIKE 'SCRAM-SHA-256$%'
      AND (rolvaliduntil IS NULL OR rolvaliduntil > now())
    ORDER BY rolname
"""
_LINE = re.compile(r'\s*"(?P<user>(?:[^"]|"")*)"\s+"(?P<secret>(?:[^"]|"")*)"')


def read_secrets(server: Dsn) -> dict[str, str]:
    """SCRAM secrets by role, of roles that applications log in as; needs a superuser.

    Superusers and replication roles are left out: they do not belong in a pool.
    """
    with connect(server, purpose="pool users") as connection:
        try:
            return dict(fetch_all(connection, _SECRETS))
        except psycopg.Error as error:
            raise explain(error, server, "reading the secrets of roles") from error


def render_users(users: Mapping[str, str]) -> str:
    """The text of an auth_file. `users` gives a SCRAM secret, or a password, for each name."""
    return "".join(f'"{_doubled(n)}" "{_doubled(s)}"\n' for n, s in sorted(users.items()))


def parse_users(text: str) -> dict[str, str]:
    """What `render_users` wrote."""
    found = (_LINE.match(line) for line in text.splitlines())
    return {_single(line["user"]): _single(line["secret"]) for line in found if line}


def _doubled(text: str) -> str:
    return text.replace('"', '""')


def _single(text: str) -> str:
    return text.replace('""', '"')
