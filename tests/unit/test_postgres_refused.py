"""What becomes of a server's or libpq's words when nobody could log in."""

from __future__ import annotations

import psycopg
import pytest

from naru.errors import NaruError, NotPermittedError, UnreachableError
from naru.postgres import Dsn, explain

AT = 'connection failed: connection to server at "10.0.0.1", port 5432 failed: '
DSN = Dsn({"host": "10.0.0.1", "dbname": "app", "user": "me", "password": "s3cret"})


@pytest.mark.parametrize(
    ("text", "kind", "remedy"),
    [
        (f'{AT}FATAL:  database "app" does not exist', NotPermittedError, "names of database"),
        (f"{AT}FATAL:  Datenbank »app« existiert nicht", UnreachableError, "names of database"),
        (f"{AT}ВАЖНО:  база данных не существует", UnreachableError, "names of database"),
        (f"{AT}Connection refused", UnreachableError, "no firewall is between"),
        ('definition of service "old" not found', UnreachableError, "PGSERVICEFILE"),
    ],
)
def test_the_remedy_fits_whoever_has_spoken(text: str, kind: type[NaruError], remedy: str) -> None:
    said = explain(psycopg.OperationalError(text), DSN)
    assert type(said) is kind
    assert remedy in (said.remedy or "")
    assert "s3cret" not in str(said)
