"""What a connection string says, read without a server."""

from __future__ import annotations

from pathlib import Path

import pytest

from naru.errors import UsageError
from naru.postgres import Dsn


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("postgresql://u@host:abc/d", "port 'abc'"),
        ("postgresql://u@host:99999/d", "port '99999'"),
        ("host=h port=0 dbname=d", "port '0'"),
        ("postgresql://u@one,two:1,2/d", "one,two.* is a list of servers"),
        ("postgresql://u:sec-ret@host/d?nonsense=1", "cannot read the connection string"),
        ("sec-ret", "cannot read the connection string"),
    ],
)
def test_a_string_that_names_no_single_server_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        Dsn.parse(text)
    assert "sec-ret" not in str(caught.value)


def test_a_service_is_looked_up_so_that_its_address_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "services"
    file.write_text("[old]\nhost=db.example\nport=5433\nuser=me\ndbname=shop\npassword=sec ret\n")
    monkeypatch.setenv("PGSERVICEFILE", str(file))
    dsn = Dsn.parse("service=old")
    assert str(dsn) == "me@db.example:5433/shop"
    assert dsn.parameters["password"] == "sec ret"
    assert str(Dsn.parse("postgresql:///other?service=old")) == "me@db.example:5433/other"
    assert Dsn.parse("service=unknown").parameters["service"] == "unknown"


def test_what_the_environment_says_of_the_address_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("PGHOST", "old"), ("PGPORT", "5433"), ("PGUSER", "me")):
        monkeypatch.setenv(name, value)
    assert Dsn.parse("dbname=shop").parameters == {
        "host": "old", "port": "5433", "user": "me", "dbname": "shop"
    }  # fmt: skip
    assert str(Dsn.parse("postgresql://you@new:5432/shop")) == "you@new:5432/shop"
    monkeypatch.setenv("PGHOST", "one,two")
    with pytest.raises(UsageError, match="list of servers"):
        Dsn.parse("dbname=shop")


def test_a_string_without_a_user_means_the_account_we_run_as(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("PGUSER", raising=False)
    monkeypatch.setenv("LOGNAME", "somebody")
    dsn = Dsn.parse("postgresql://host")
    assert (dsn.user, dsn.database) == ("somebody", "somebody")
