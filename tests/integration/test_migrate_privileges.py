"""A migration in which nobody is superuser, by the statements that the reference page has."""

from __future__ import annotations

import json
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from naru.errors import NotPermittedError
from naru.postgres import Dsn, LocalServer, connect, fetch_all, fetch_value
from naru.system import wait_until
from tests.migration import Case, catalogs, drop_database

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

SHOP = Path(__file__).parent / "sql" / "shop.sql"
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "privileges.md"
LOGIN, SECRET, APP_SECRET = "naru_mover", "a-Mover-Password.1", "a-shop-Password.1"
ROLES = (LOGIN, "shop_app", "shop_group", "shop_reports", "shop_owner")


@dataclass
class Shop(Case):
    """A database of that name, brought across by a login without any attribute of a superuser."""

    @property
    def source(self) -> Dsn:
        return self.old.dsn(self.database, LOGIN).with_(password=SECRET)

    @property
    def target(self) -> Dsn:
        return self.new.dsn(self.database, LOGIN).with_(password=SECRET)

    def uris(self) -> list[str]:
        return [word.replace("postgres@", f"{LOGIN}@") for word in super().uris()]

    def secrets(self) -> dict[str, str]:
        path = self.folder / "passfile"
        path.write_text(f"*:*:*:{LOGIN}:{SECRET}\n")
        path.chmod(0o600)
        return {"PGPASSFILE": str(path)}

    def naru(self, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = self.command("migrate", *words, *self.uris())
        assert done.returncode == code, done.stdout + done.stderr[-3000:]
        return done

    def client(self, server: LocalServer) -> Dsn:
        """How the application reaches its database on `server`."""
        return server.dsn(self.database, "shop_app").with_(password=APP_SECRET)


def statements(side: str, title: str) -> str:
    """The SQL under a heading of the reference page, as an administrator would paste it."""
    page = PAGE.read_text()
    part = page.split(f"\n## On the {side}\n")[1].split("\n## ")[0]
    part = part.split(f"\n### {title}\n")[1].split("\n### ")[0]
    return "\n".join(re.findall(r"```sql\n(.*?)```", part, re.DOTALL))


def administer(server: LocalServer, text: str, database: str = "postgres") -> None:
    """Run statements as the server's administrator, each by itself as psql does."""
    with connect(server.dsn(database), purpose="administrator") as connection:
        connection.execute(text.encode())


@pytest.fixture
def shop(tmp_path: Path, old_server: LocalServer, new_server: LocalServer) -> Iterator[Shop]:
    """The shop at the source; no database and no login at the target yet."""
    made = Shop(tmp_path, old_server, new_server, "shop")
    _forget(made)
    administer(
        old_server,
        "CREATE ROLE shop_owner; CREATE ROLE shop_reports; CREATE ROLE shop_group;"
        f" CREATE ROLE shop_app LOGIN PASSWORD '{APP_SECRET}' IN ROLE shop_group",
    )
    administer(old_server, "CREATE DATABASE shop OWNER shop_owner")
    administer(old_server, SHOP.read_text(), "shop")
    try:
        yield made
    finally:
        made.remove()
        _forget(made)


def _forget(made: Shop) -> None:
    for server in (made.old, made.new):
        drop_database(server, made.database)
        with connect(server.dsn(), purpose="test") as connection:
            for role in ROLES:
                if fetch_all(connection, "SELECT FROM pg_roles WHERE rolname = %s", [role]):
                    name = sql.Identifier(role)
                    connection.execute(sql.SQL("DROP OWNED BY {}").format(name))
                    connection.execute(sql.SQL("DROP ROLE {}").format(name))


def let_in(made: Shop) -> None:
    """What the page says, on both sides, and a password for the login."""
    administer(made.old, statements("source", "Always"), "shop")
    older = made.old.installation.major < 16
    subscribing = "Below version 16" if older else "From version 16 on"
    administer(made.old, statements("source", subscribing), "shop")
    administer(made.new, statements("target", "Always"))
    give_password(made)


def give_password(made: Shop) -> None:
    for server in (made.old, made.new):
        administer(server, f"ALTER ROLE {LOGIN} PASSWORD '{SECRET}'")


@dataclass
class Application:
    """One client that knows both addresses, and connects again whenever it is cut off."""

    conninfo: str
    acknowledged: list[int] = field(default_factory=list)
    refusals: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        number = 1_000_000
        while not self.over.is_set():
            try:
                with psycopg.connect(self.conninfo, autocommit=True) as connection:
                    while not self.over.wait(0.003):
                        number += 1
                        connection.execute(
                            "INSERT INTO app.purchase (customer, total) VALUES (1, %s)", [number]
                        )
                        self.acknowledged.append(number)
            except psycopg.Error:
                self.refusals += 1
                self.over.wait(0.02)

    def goes_on(self) -> None:
        """Wait until more of it is committed."""
        before = len(self.acknowledged)
        wait_until(lambda: len(self.acknowledged) > before + 10, "the application to write", 30)


@contextmanager
def working(made: Shop) -> Iterator[Application]:
    """The application at work, from here to the end of the block."""
    parts = made.client(made.old).parameters
    hosts = {"host": "127.0.0.1,127.0.0.1", "port": f"{made.old.port},{made.new.port}"}
    application = Application(make_conninfo("", **{**parts, **hosts}, connect_timeout=5))
    thread = threading.Thread(target=application.run)
    thread.start()
    try:
        application.goes_on()
        yield application
    finally:
        application.over.set()
        thread.join()


def lost(dsn: Dsn, application: Application) -> set[int]:
    """What the application was told is committed and `dsn` has not."""
    with connect(dsn, purpose="test") as connection:
        rows = fetch_all(connection, "SELECT total::int FROM app.purchase WHERE total >= 1000000")
    return set(application.acknowledged) - {row[0] for row in rows}


def may_enter(dsn: Dsn) -> bool:
    try:
        connect(dsn, purpose="application").close()
    except NotPermittedError:
        return False
    return True


def test_there_back_and_there_again_with_the_rights_of_the_page(shop: Shop) -> None:
    let_in(shop)
    assessed = json.loads(shop.naru("assess", "--json").stdout)
    named = {one["code"]: one["object"] for one in assessed["findings"]}
    assert named["source.passwords"] == "shop_app"
    here, there = shop.client(shop.old), shop.client(shop.new)
    with working(shop) as application:
        shop.naru("start")
        administer(shop.new, f"ALTER ROLE shop_app PASSWORD '{APP_SECRET}'")
        done = shop.command("verify", "--live", *shop.uris())
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        for command, open_at, shut_at in (
            ("cutover", there, here),
            ("rollback", here, there),
            ("cutover", there, here),
        ):
            refused = application.refusals
            assert "the same" in shop.naru(command, "--yes").stdout
            application.goes_on()
            assert application.refusals > refused
            assert (may_enter(open_at), may_enter(shut_at)) == (True, False)
            shop.naru("status")
    assert lost(there, application) == set()
    shop.naru("finish", "--yes")
    assert (may_enter(here), may_enter(there)) == (True, True)
    for server in (shop.old, shop.new):
        assert ours(server) == [], server.port


def ours(server: LocalServer) -> list[str]:
    """What a migration has left in the shop on `server`."""
    with connect(server.dsn("shop"), purpose="test") as connection:
        query = """
            SELECT pubname FROM pg_publication UNION ALL SELECT subname FROM pg_subscription
            UNION ALL SELECT slot_name FROM pg_replication_slots WHERE database = 'shop'
            UNION ALL SELECT nspname FROM pg_namespace n WHERE nspname = 'naru_migration'
                AND nspowner <> 10
        """
        return [str(row[0]) for row in fetch_all(connection, query)]


def test_abort_leaves_the_source_as_it_was_and_drops_what_it_made(shop: Shop) -> None:
    let_in(shop)
    before = catalogs(shop.old, "shop")
    shop.naru("start")
    assert catalogs(shop.old, "shop") != before
    shop.naru("abort", "--yes")
    assert catalogs(shop.old, "shop") == before
    with connect(shop.new.dsn(), purpose="test") as connection:
        assert fetch_all(connection, "SELECT 1 FROM pg_database WHERE datname = 'shop'") == []
    # The roles are there now, and ours to join, since we made them.
    shop.naru("start")


def test_a_database_that_an_administrator_made_will_do(shop: Shop) -> None:
    let_in(shop)
    administer(shop.new, f"ALTER ROLE {LOGIN} NOCREATEDB")
    assert "target.create-database" in shop.naru("assess", code=1).stdout
    for statement in statements("target", "Instead of CREATEDB").strip().split(";\n"):
        administer(shop.new, statement)
    assert "target.reach" not in shop.naru("assess").stdout
    shop.naru("start")
    assert "the same" in shop.naru("cutover", "--yes").stdout


def test_what_assess_prints_is_all_that_is_missing(shop: Shop) -> None:
    for server in (shop.old, shop.new):
        administer(server, f"CREATE ROLE {LOGIN} LOGIN")
    administer(shop.new, "CREATE ROLE shop_owner")
    give_password(shop)
    found = shop.naru("assess", "--grants", code=1).stdout
    source, _, target = found.partition("-- On the target")
    administer(shop.old, source, "shop")
    administer(shop.new, f"-- {target}")
    assert "blocking" not in shop.naru("assess").stdout
    assert shop.naru("assess", "--grants").stdout == ""


def test_what_only_superusers_can_make_is_told_before_and_left_out(shop: Shop) -> None:
    let_in(shop)
    administer(
        shop.old,
        """
        CREATE EXTENSION pg_visibility;
        CREATE FUNCTION public.noted() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
        CREATE EVENT TRIGGER noting ON ddl_command_end EXECUTE FUNCTION public.noted();
        ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO shop_app;
        CREATE FUNCTION app.raw(text) RETURNS text LANGUAGE internal AS 'textin';
        CREATE TABLE app.boss (id int PRIMARY KEY);
        ALTER TABLE app.report FORCE ROW LEVEL SECURITY;
        GRANT pg_monitor TO shop_app;
        """,
        "shop",
    )
    told = shop.naru("assess", code=1).stdout
    for code, name in (
        ("blocking target.extension-refused", "pg_visibility"),
        ("blocking target.superuser-object", "function app.raw()"),
        ("blocking target.forced-row-security", "app.report"),
        ("blocking source.table-owner", "app.boss"),
        ("warning target.membership", "shop_app"),
        ("warning target.event-trigger", "noting"),
        ("warning target.default-privileges", "postgres"),
        ("warning target.superuser-owner", "postgres"),
    ):
        assert f"{code} {name}" in told, told
    administer(
        shop.old,
        "DROP EXTENSION pg_visibility; DROP FUNCTION app.raw; DROP TABLE app.boss;"
        " ALTER TABLE app.report NO FORCE ROW LEVEL SECURITY",
        "shop",
    )
    shop.naru("start")
    with connect(shop.target, purpose="test") as connection:
        assert fetch_all(connection, "SELECT evtname FROM pg_event_trigger") == []
        owner = "SELECT proowner::regrole::text FROM pg_proc WHERE proname = 'noted'"
        assert fetch_value(connection, owner) == LOGIN


def test_a_superuser_who_cannot_be_kept_out_shuts_the_gate(shop: Shop) -> None:
    let_in(shop)
    shop.naru("start")
    with connect(shop.old.dsn("shop"), purpose="test") as boss:
        boss.execute("SET application_name = 'the boss'")
        done = shop.naru("cutover", "--yes", code=1)
        assert "superuser postgres (the boss) is connected" in done.stderr
        assert may_enter(shop.client(shop.old))
    shop.naru("cutover", "--yes")


def test_the_page_has_the_function_that_assess_prints() -> None:
    text = Path(__file__).parents[2].joinpath("src/naru/migrate/subscribe.sql").read_text()
    assert text.strip() == statements("source", "Below version 16").strip()
