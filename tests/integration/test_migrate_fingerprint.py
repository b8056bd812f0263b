"""Any change of the schema shows, and what a migration and its clients do does not."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from psycopg import sql

from naru.migrate.fingerprint import changed, schema_fingerprint
from naru.postgres import Connection, LocalServer, connect

pytestmark = pytest.mark.integration

CONTENT = """
CREATE SCHEMA app;
CREATE TABLE app.item (id int PRIMARY KEY, name text DEFAULT 'x', price int NOT NULL DEFAULT 0);
CREATE TABLE app.plain (id int NOT NULL, UNIQUE (id));
CREATE VIEW app.cheap AS SELECT id FROM app.item WHERE price < 10;
CREATE FUNCTION app.twice(n int) RETURNS int LANGUAGE sql AS 'SELECT 2 * n';
CREATE SEQUENCE app.number;
CREATE DOMAIN app.word AS text DEFAULT 'a';
CREATE TYPE app.mood AS ENUM ('sad');
CREATE POLICY mine ON app.item USING (id > 0);
CREATE FUNCTION app.fires() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER fires BEFORE INSERT ON app.plain FOR EACH ROW EXECUTE FUNCTION app.fires();
"""

CHANGES = {
    "ALTER TABLE app.item ALTER COLUMN name SET DEFAULT 'y'": "defaults",
    "ALTER TABLE app.item ALTER COLUMN name TYPE varchar": "columns",
    "ALTER TABLE app.item ENABLE ROW LEVEL SECURITY": "tables and other relations",
    "ALTER TABLE app.item SET (fillfactor = 70)": "tables and other relations",
    "GRANT SELECT ON app.item TO pg_monitor": "tables and other relations",
    "GRANT SELECT (name) ON app.item TO pg_monitor": "columns",
    "GRANT USAGE ON SCHEMA app TO pg_monitor": "schemas",
    "CREATE OR REPLACE VIEW app.cheap AS SELECT id FROM app.item WHERE price < 20":
        "views and rules",
    "ALTER FUNCTION app.twice(int) IMMUTABLE": "functions",
    "ALTER FUNCTION app.twice(int) SECURITY DEFINER": "functions",
    "CREATE OR REPLACE FUNCTION app.twice(n int DEFAULT 1) RETURNS int LANGUAGE sql"
    " AS 'SELECT 2 * n'": "functions",
    "ALTER SEQUENCE app.number INCREMENT 10": "sequences",
    "ALTER DOMAIN app.word SET DEFAULT 'b'": "types",
    "ALTER TYPE app.mood ADD VALUE 'glad'": "enum labels",
    "ALTER POLICY mine ON app.item USING (id > 1)": "policies",
    "COMMENT ON COLUMN app.item.name IS 'said'": "comments",
    "CREATE STATISTICS app.both ON id, price FROM app.item": "statistics",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON TABLES TO pg_monitor":
        "default privileges",
    "ALTER TABLE app.plain DISABLE TRIGGER fires": "triggers",
    "CREATE INDEX item_name ON app.item (name)": "indexes",
}  # fmt: skip

NO_CHANGES = (
    "INSERT INTO app.item SELECT g FROM generate_series(1, 100) g",
    "SELECT nextval('app.number')",
    "ANALYZE app.item",
    "VACUUM FULL app.item",
    "TRUNCATE app.plain",
    "CREATE TEMP TABLE passing (id int PRIMARY KEY, name text DEFAULT 'x')",
    "ALTER TABLE app.plain REPLICA IDENTITY USING INDEX plain_id_key",
    "CREATE PUBLICATION naru_fingerprint FOR TABLE app.item",
)


@pytest.fixture
def database(old_server: LocalServer) -> Iterator[Connection]:
    name = sql.Identifier(f"fingerprint_{uuid.uuid4().hex[:8]}")
    with connect(old_server.dsn(), purpose="test") as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(name))
        with connect(old_server.dsn(name.as_string().strip('"')), purpose="test") as connection:
            connection.execute(CONTENT)
            yield connection
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


def test_every_change_of_the_schema_shows_and_nothing_else_does(database: Connection) -> None:
    before = schema_fingerprint(database)
    for statement in NO_CHANGES:
        database.execute(statement.encode())
        assert changed(before, schema_fingerprint(database)) == (), statement
    for statement, kind in CHANGES.items():
        database.execute(statement.encode())
        now = schema_fingerprint(database)
        assert kind in changed(before, now), statement
        before = now
