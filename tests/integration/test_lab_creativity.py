"""The old side's database: everything that real databases have, the same each time it is made."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import psycopg
import pytest
from psycopg import sql

from naru.errors import RefusedError, UsageError
from naru.lab.creativity import LOGIN_ROLES, Summary, business, create, exists
from naru.postgres import (
    Connection,
    Dsn,
    LocalServer,
    connect,
    fetch_all,
    fetch_one,
    fetch_value,
    generate_password,
)

pytestmark = pytest.mark.integration

PASSWORDS = {role: generate_password() for role in LOGIN_ROLES}


@dataclass(frozen=True)
class Made:
    server: LocalServer
    database: str
    summary: Summary
    content: dict[str, tuple[int, int]]
    """The fingerprint of the database when it was new."""

    def dsn(self, user: str | None = None) -> Dsn:
        dsn = self.server.dsn(self.database)
        return dsn if user is None else dsn.with_(user=user, password=PASSWORDS[user])


def make(server: LocalServer, name: str, *, seed: int = 2866) -> Made:
    summary = create(server.dsn(), name, scale=0.01, seed=seed, passwords=PASSWORDS)
    return Made(server, name, summary, fingerprint(server.dsn(name)))


def drop(server: LocalServer, name: str) -> None:
    with connect(server.dsn(), purpose="test") as control:
        control.execute(
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        )


def fresh_name() -> str:
    return f"creativity_{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="module")
def old(old_server: LocalServer) -> Iterator[Made]:
    made = make(old_server, fresh_name())
    yield made
    drop(old_server, made.database)


@pytest.fixture(scope="module")
def new(new_server: LocalServer) -> Iterator[Made]:
    made = make(new_server, fresh_name())
    yield made
    drop(new_server, made.database)


@pytest.fixture(params=["old", "new"])
def made(request: pytest.FixtureRequest) -> Made:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Made)
    return found


@pytest.fixture
def session(made: Made) -> Iterator[Connection]:
    with connect(made.dsn(), purpose="test") as connection:
        yield connection


@pytest.fixture
def name(old_server: LocalServer) -> Iterator[str]:
    """A database name of the old server's that is free, and is free again afterwards."""
    chosen = fresh_name()
    yield chosen
    drop(old_server, chosen)
    drop(old_server, f"{chosen}_building")


def tables(connection: Connection) -> list[str]:
    rows = fetch_all(
        connection,
        "SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'p', 'm')"
        " AND NOT relispartition AND oid >= 16384 ORDER BY 1",
    )
    return [row[0] for row in rows]


def fingerprint(dsn: Dsn) -> dict[str, tuple[int, int]]:
    """Rows and a hash of all of them for each table, and for the large objects."""
    with connect(dsn, purpose="test") as connection:
        hashed = "SELECT count(*), coalesce(sum(hashtextextended(t::text, 7)), 0) FROM {} AS t"
        found = {
            table: fetch_one(connection, sql.SQL(hashed).format(sql.SQL(table)))
            for table in tables(connection)
        }
        found["large objects"] = fetch_one(
            connection,
            "SELECT count(*), sum(hashtextextended(loid || md5(lo_get(loid)), 7))"
            " FROM (SELECT oid AS loid FROM pg_largeobject_metadata) AS l",
        )
        found["sequences"] = fetch_one(
            connection,
            "SELECT count(*), sum(hashtextextended(sequencename || last_value, 7))"
            " FROM pg_sequences",
        )
    return {table: (int(row[0]), int(row[1])) for table, row in found.items()}


# What must be there → a query that gives true.
FEATURES = {
    "identity always": "EXISTS (SELECT FROM pg_attribute WHERE attidentity = 'a')",
    "identity by default": "EXISTS (SELECT FROM pg_attribute WHERE attidentity = 'd')",
    "serial": "pg_get_serial_sequence('orders', 'id') IS NOT NULL",
    "a standalone sequence": """EXISTS (SELECT FROM pg_class AS c WHERE relkind = 'S'
        AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = c.oid AND deptype IN ('a', 'i')))""",
    "a default from a function": """pg_get_expr(adbin, adrelid) LIKE '%next_invoice_number()%'
        FROM pg_attrdef WHERE adrelid = 'invoices'::regclass AND adnum = 1""",
    "enums": "count(*) >= 4 FROM pg_type WHERE typtype = 'e'",
    "an enum with a value put in between": """array_agg(enumlabel ORDER BY enumsortorder)
        = '{draft,active,review,paused,completed,archived}'
        FROM pg_enum WHERE enumtypid = 'project_status'::regtype""",
    "domains": "count(*) >= 3 FROM pg_type WHERE typtype = 'd' AND oid >= 16384",
    "a composite": "'postal_address'::regtype IS NOT NULL",
    "jsonb": "count(*) > 5 FROM pg_attribute WHERE atttypid = 'jsonb'::regtype"
    " AND attrelid >= 16384",
    "arrays of an enum": "count(*) > 1 FROM pg_attribute WHERE atttypid = 'user_role[]'::regtype",
    "generated columns": "count(*) >= 2 FROM pg_attribute WHERE attgenerated = 's'",
    "partitions by month and a default one": """count(*) = 19 FROM pg_inherits
        WHERE inhparent = 'project_activity'::regclass""",
    "rows in the default partition": "count(*) > 0 FROM project_activity_default",
    "one table without a key": """array_agg(oid::regclass::text) = '{audit_log}' FROM pg_class AS c
        WHERE relkind IN ('r', 'p') AND oid >= 16384 AND NOT EXISTS
        (SELECT FROM pg_constraint WHERE conrelid = c.oid AND contype = 'p')""",
    "lines twice in it": """count(*) > count(DISTINCT a::text) FROM audit_log AS a""",
    "a materialized view that is filled": "count(*) > 500 FROM analytics.project_popularity",
    "views": "count(*) >= 3 FROM pg_views WHERE schemaname = 'public'",
    "functions in SQL and plpgsql": """count(DISTINCT lanname) = 2 FROM pg_proc AS p
        JOIN pg_language AS l ON l.oid = prolang WHERE pronamespace = 'public'::regnamespace
        AND lanname IN ('sql', 'plpgsql')""",
    "triggers": "count(*) >= 10 FROM pg_trigger WHERE NOT tgisinternal",
    "a foreign key to itself": "count(*) >= 3 FROM pg_constraint WHERE conrelid = confrelid",
    "foreign keys all valid": """count(*) > 20 AND bool_and(convalidated) FROM pg_constraint
        WHERE contype = 'f'""",
    "check constraints": "count(*) > 8 FROM pg_constraint WHERE contype = 'c'",
    "unique constraints": "count(*) >= 4 FROM pg_constraint WHERE contype = 'u'",
    "a deferrable key": "bool_or(condeferrable) FROM pg_constraint WHERE contype = 'u'",
    "exclusion constraints": "count(*) = 2 FROM pg_constraint WHERE contype = 'x'",
    "partial indexes": "count(*) >= 3 FROM pg_index WHERE indpred IS NOT NULL",
    "expression indexes": "count(*) >= 2 FROM pg_index WHERE indexprs IS NOT NULL",
    "indexes that include": "bool_or(indnatts > indnkeyatts) FROM pg_index",
    "kinds of index": """array_agg(DISTINCT amname::text) @> '{btree,gin,gist,brin,hash}'
        FROM pg_class AS c JOIN pg_am AS a ON a.oid = c.relam
        WHERE relkind = 'i' AND c.oid >= 16384""",
    "all indexes valid": "bool_and(indisvalid) FROM pg_index",
    "extended statistics": "count(*) = 1 FROM pg_statistic_ext",
    "comments": "count(*) >= 10 FROM pg_description WHERE objoid >= 16384",
    "large objects that rows refer to": """count(*) >= 40 AND bool_and(m.oid IS NOT NULL
        AND length(lo_get(content)) = file_size AND sha256(lo_get(content)) = checksum)
        FROM attachments LEFT JOIN pg_largeobject_metadata AS m ON m.oid = content""",
    "a large large object": "max(file_size) > 200000 FROM attachments",
    "an empty large object": "min(file_size) = 0 FROM attachments",
    "roles that cannot log in": """count(*) = 3 FROM pg_roles
        WHERE rolname IN ('app_read', 'app_write', 'analyst') AND NOT rolcanlogin""",
    "memberships": """pg_has_role('app_user', 'app_write', 'member')
        AND pg_has_role('app_user', 'app_read', 'member')
        AND pg_has_role('web_user', 'app_read', 'member')
        AND NOT pg_has_role('web_user', 'app_write', 'member')""",
    "passwords as SCRAM secrets": """bool_and(rolpassword LIKE 'SCRAM-SHA-256$%') FROM pg_authid
        WHERE rolname IN ('app_user', 'web_user')""",
    "column grants": "count(*) > 10 FROM pg_attribute WHERE attacl IS NOT NULL"
    " AND attrelid >= 16384",
    "default privileges": "count(*) >= 3 FROM pg_default_acl",
    "grants on large objects": "bool_and(lomacl IS NOT NULL) FROM pg_largeobject_metadata",
    "extensions": """array_agg(extname::text) @> '{pg_trgm,btree_gist,citext,pgcrypto}'
        FROM pg_extension""",
    "another schema with another owner": """nspowner = 'analyst'::regrole FROM pg_namespace
        WHERE nspname = 'analytics'""",
    "odd names": 'count("총 금액 (KRW)") = 60 FROM analytics."Monthly Report (월간)"',
    "range columns": """count(DISTINCT atttypid) = 3 FROM pg_attribute WHERE attrelid >= 16384
        AND atttypid IN ('daterange'::regtype, 'tstzrange'::regtype, 'int4range'::regtype)""",
    "numbers that are equal, with another scale": "count(*) = 2 FROM edge_values WHERE amount = 1"
    " AND id IN (8, 9)",
    "edges of time": "bool_or(isfinite(moment)) AND NOT bool_and(isfinite(day)) FROM edge_values",
    "empty text beside NULL": "count(*) FILTER (WHERE words = '') = 1"
    " AND count(*) FILTER (WHERE words IS NULL AND id < 20) = 1 FROM edge_values",
    "bytes": "bool_and(length(image) > 2000) FROM thumbnails",
    "logged tables only": "bool_and(relpersistence = 'p') FROM pg_class WHERE oid >= 16384",
    "nothing left of the generator": "to_regnamespace('gen') IS NULL",
    "Korean and English": "count(*) FILTER (WHERE title ~ '[가-힣]') BETWEEN 300 AND 700"
    " AND count(*) FILTER (WHERE title ~ '^[A-Z]') BETWEEN 100 AND 500 FROM projects",
    "a project that is popular": "max(members) > 20 FROM analytics.project_popularity",
    "orders at the product's price": """bool_and(unit_price = price_numeric
        AND total_price = quantity * unit_price) FROM orders AS o JOIN products AS p
        ON p.id = o.product_id""",
}


@pytest.mark.parametrize("feature", FEATURES)
def test_the_database_has(feature: str, session: Connection) -> None:
    assert fetch_value(session, f"SELECT {FEATURES[feature]}") is True


def test_the_summary_is_what_is_there(made: Made) -> None:
    rows = sum(
        count
        for table, (count, _) in made.content.items()
        if table not in {"large objects", "sequences", "analytics.project_popularity"}
    )
    assert made.summary.rows == rows
    assert made.summary.tables >= 16
    assert made.summary.bytes > 5_000_000


def test_two_creations_are_the_same_row_by_row(old: Made, new: Made) -> None:
    """On two servers of different versions, by sessions that ran side by side."""
    assert old.content == new.content


def test_another_seed_gives_other_content(old: Made, old_server: LocalServer, name: str) -> None:
    other = make(old_server, name, seed=1).content
    mine = old.content
    assert {table: count for table, (count, _) in mine.items()} == {
        table: count for table, (count, _) in other.items()
    }
    for table in ("users", "projects", "comments", "project_activity", "large objects"):
        assert mine[table] != other[table]


def test_sequences_go_on_after_the_content(session: Connection) -> None:
    """Rows that applications add get numbers that are free."""
    with session.transaction(force_rollback=True):
        for statement in (
            "INSERT INTO users (username, email, display_name) VALUES ('x', 'x@y.z', 'x')",
            "INSERT INTO user_projects (user_id, project_id) SELECT u, 1 FROM"
            " (SELECT max(id) AS u FROM users) AS last",
            "INSERT INTO project_activity (project_id, kind) VALUES (1, 'shared')",
            "INSERT INTO invoices (order_id, issued_on, net, lines) VALUES (1, now(), 1, '[]')",
            "INSERT INTO test_recovery (created_at, data) VALUES (now(), 'Before failure')",
            "INSERT INTO incident_log VALUES (now(), 'Accidental data deletion occurred')",
            "INSERT INTO migration_test (test_data) VALUES ('Test data 4')",
            "INSERT INTO migration_checkpoints (checkpoint_name, description) VALUES ('x', 'y')",
        ):
            session.execute(statement.encode())
        ids = fetch_one(session, "SELECT max(number), min(id) FROM invoices, project_activity")
        assert ids == ("INV-0000100601", 1)


def test_the_application_may_work_but_not_everywhere(old: Made) -> None:
    with connect(old.dsn("app_user"), purpose="test", autocommit=False) as session:
        session.execute("UPDATE projects SET status = 'paused' WHERE status = 'active'")
        touched = "SELECT count(*) > 0 FROM audit_log WHERE happened_at >= now()"
        assert fetch_value(session, touched) is True
        session.rollback()
        for forbidden in ("DELETE FROM audit_log", "DELETE FROM analytics.daily_stats"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                session.execute(forbidden.encode())
            session.rollback()


def test_the_web_server_reads_but_no_secrets(old: Made) -> None:
    with connect(old.dsn("web_user"), purpose="test") as session:
        assert fetch_value(session, "SELECT count(username) FROM users") == 600
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute("SELECT password_hash FROM users")
        session.execute("SET default_transaction_read_only = off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute("DELETE FROM comments")


def test_a_database_that_is_not_empty_is_left_alone(old: Made) -> None:
    before = fingerprint(old.dsn())
    with pytest.raises(RefusedError, match=f"{old.database} .*exists and is not empty"):
        make(old.server, old.database)
    assert fingerprint(old.dsn()) == before


def test_an_empty_database_is_taken(old_server: LocalServer, name: str) -> None:
    with connect(old_server.dsn(), purpose="test") as control:
        control.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    assert not exists(old_server.dsn(), name)
    make(old_server, name)
    assert exists(old_server.dsn(), name)


class Interrupted:
    """An observer whose user presses Ctrl-C when the indexes are being built."""

    def step(self, title: str, state: str) -> None:
        if (title, state) == ("keys and indexes", "running"):
            raise KeyboardInterrupt

    def progress(
        self, what: str, done: int, total: int | None, unit: str, *, detail: str = ""
    ) -> None: ...

    def note(self, text: str) -> None: ...


def test_an_interrupted_creation_is_begun_again(
    old: Made, old_server: LocalServer, name: str
) -> None:
    with pytest.raises(KeyboardInterrupt):
        create(old_server.dsn(), name, scale=0.01, seed=2866, passwords=PASSWORDS,
               observer=Interrupted())  # fmt: skip
    assert not exists(old_server.dsn(), name)
    assert make(old_server, name).content == old.content
    with connect(old_server.dsn(), purpose="test") as control:
        left = "SELECT count(*) FROM pg_database WHERE datname = %s"
        assert fetch_value(control, left, (f"{name}_building",)) == 0


KILLED = """
import json, os, signal, sys
from naru.lab.creativity import create
from naru.postgres import Dsn
from naru.system.observer import Silent

class Killed(Silent):
    def progress(self, what, done, total, unit, *, detail=""):
        os.kill(os.getpid(), signal.SIGKILL)

given = json.load(sys.stdin)
create(Dsn(given["server"]), given["name"], scale=0.01, seed=2866,
       passwords=given["passwords"], observer=Killed())
"""


def test_a_killed_creation_is_begun_again(old: Made, old_server: LocalServer, name: str) -> None:
    """kill -9 while the content goes in."""
    given = {"server": dict(old_server.dsn().parameters), "name": name, "passwords": PASSWORDS}
    ended = subprocess.run(
        [sys.executable, "-c", KILLED], input=json.dumps(given), text=True, timeout=60, check=False
    )
    assert ended.returncode == -signal.SIGKILL
    assert make(old_server, name).content == old.content


def test_nobody_builds_what_another_is_building(old_server: LocalServer, name: str) -> None:
    with connect(old_server.dsn(), purpose="test") as other:
        other.execute("SELECT pg_advisory_lock(hashtext(%s))", (f"{name}_building",))
        with pytest.raises(RefusedError, match="another naru"):
            make(old_server, name)


@pytest.mark.parametrize(("wrong", "said"), [("postgres", "maintenance"), ("x" * 60, "too long")])
def test_a_name_that_cannot_be_is_refused(old_server: LocalServer, wrong: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        make(old_server, wrong)


def test_business_changes_work_side_by_side(old_server: LocalServer, name: str) -> None:
    """Eight clients, no error, no deadlock, and every kind of change changes something."""
    made = make(old_server, name)
    with connect(made.dsn("app_user"), purpose="test") as session:
        changes = business(session)

    def client(number: int) -> None:
        chance = random.Random(number)
        with connect(
            made.dsn("app_user"), purpose="test", autocommit=False, prepare=False
        ) as session:
            for _ in range(100):
                drawn = changes.draw(chance)
                assert drawn is not None
                statement, values = drawn
                session.execute(statement.encode(), values)
                session.commit()

    with ThreadPoolExecutor(8) as clients:
        list(clients.map(client, range(8)))
    after = fingerprint(made.dsn())
    changed = {table for table in after if after[table] != made.content[table]}
    assert changed >= {"project_activity", "projects", "comments", "user_projects", "users",
                       "orders", "inventory", "audit_log"}  # fmt: skip
