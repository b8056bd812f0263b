"""Each kind of change arrives, whether it is made while tables are copied or afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from naru.errors import RefusedError
from naru.migrate import Record, assess
from naru.migrate.copy import copy_tables
from naru.migrate.follow import catch_up
from naru.postgres import Dsn, LocalServer, connect, fetch_all, fetch_value
from naru.system import wait_until
from tests.migration import Case, case, found

pytestmark = pytest.mark.integration

CONTENT = """
CREATE TYPE state AS ENUM ('new', 'open', 'done');
CREATE TABLE plain (id int PRIMARY KEY, other int UNIQUE, what text, at timestamptz DEFAULT now());
CREATE TABLE parent (id int PRIMARY KEY, what text);
CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent ON UPDATE CASCADE
    ON DELETE CASCADE);
CREATE TABLE emptied (id int PRIMARY KEY);
CREATE TABLE refers_emptied (id int PRIMARY KEY, e int REFERENCES emptied);
CREATE TABLE wide (id int PRIMARY KEY, n int, body text, other bytea);
ALTER TABLE wide ALTER body SET STORAGE EXTERNAL;
CREATE TABLE no_key (a int, b text, c jsonb, body text);
CREATE TABLE parts (id int, kind state, at date NOT NULL, what text, PRIMARY KEY (id, at))
    PARTITION BY RANGE (at);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE parts_2 (what text, gone int, kind state, at date NOT NULL, id int NOT NULL);
ALTER TABLE parts_2 DROP gone;
ALTER TABLE parts ATTACH PARTITION parts_2 FOR VALUES FROM ('2021-01-01') TO ('2022-01-01');
CREATE TABLE parts_rest PARTITION OF parts DEFAULT PARTITION BY HASH (id);
CREATE TABLE parts_rest_0 PARTITION OF parts_rest FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE parts_rest_1 PARTITION OF parts_rest FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE makes_own (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n int,
    twice int GENERATED ALWAYS AS (n * 2) STORED, code serial);
CREATE UNLOGGED TABLE fleeting (id int PRIMARY KEY, what text);
CREATE UNLOGGED TABLE refers_fleeting (id int PRIMARY KEY, f int REFERENCES fleeting);
CREATE SEQUENCE alone INCREMENT -2;
CREATE TABLE audit (id bigserial PRIMARY KEY, what text);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN INSERT INTO public.audit (what) VALUES (TG_OP); RETURN NULL; END';
CREATE TRIGGER noted AFTER INSERT OR UPDATE OR DELETE ON plain FOR EACH STATEMENT
    EXECUTE FUNCTION note();
INSERT INTO plain SELECT g, g, 'w' || g FROM generate_series(1, 1000) g;
INSERT INTO parent SELECT g, 'p' FROM generate_series(1, 50) g;
INSERT INTO child SELECT g, 1 + g % 50 FROM generate_series(1, 200) g;
INSERT INTO emptied SELECT generate_series(1, 30);
INSERT INTO refers_emptied SELECT g, g FROM generate_series(1, 30) g;
INSERT INTO wide SELECT g, g, repeat(md5(g::text), 400), decode(repeat(md5(g::text), 200), 'hex')
    FROM generate_series(1, 40) g;
INSERT INTO no_key SELECT g % 4, NULL, '{"a": 1}', repeat('x', 5000) FROM generate_series(1, 40) g;
INSERT INTO parts SELECT g, 'new', '2020-01-01'::date + g, 'w' FROM generate_series(1, 900) g;
INSERT INTO makes_own (n) SELECT generate_series(1, 20);
INSERT INTO fleeting SELECT g, 'old' FROM generate_series(1, 20) g;
INSERT INTO refers_fleeting SELECT g, g FROM generate_series(1, 20) g;
"""

CHANGES = {
    "many rows at once": "INSERT INTO plain SELECT g, g, 'm' FROM generate_series(2001, 3000) g;"
    " UPDATE plain SET what = what || '!' WHERE id % 2 = 0; DELETE FROM plain WHERE id % 7 = 0",
    "a huge transaction": "INSERT INTO plain SELECT g, g, 'huge' FROM"
    " generate_series(100001, 200000) g; UPDATE plain SET other = -other WHERE id > 190000",
    "a huge transaction that is rolled back": "BEGIN; INSERT INTO plain SELECT g, g, 'never' FROM"
    " generate_series(300001, 400000) g; ROLLBACK",
    "savepoints": "BEGIN; INSERT INTO plain VALUES (5001, 5001, 'a'); SAVEPOINT one;"
    " INSERT INTO plain VALUES (5002, 5002, 'lost'); SAVEPOINT two; DELETE FROM plain WHERE id = 1;"
    " ROLLBACK TO one; INSERT INTO plain VALUES (5002, 5003, 'kept'); RELEASE one; COMMIT",
    "keys": "UPDATE plain SET id = id + 1000000 WHERE id BETWEEN 10 AND 60;"
    " UPDATE plain SET id = -id WHERE id > 5000 AND id < 6000;"
    " UPDATE parent SET id = id + 1000 WHERE id < 5; DELETE FROM parent WHERE id = 6",
    "keys that change places": "BEGIN; UPDATE plain SET id = -1 WHERE id = 61;"
    " UPDATE plain SET id = 61 WHERE id = 62; UPDATE plain SET id = 62 WHERE id = -1; COMMIT",
    "truncating": "TRUNCATE emptied CASCADE; INSERT INTO emptied VALUES (77)",
    "truncating what is filled in one go": "BEGIN; INSERT INTO audit (what) VALUES ('gone');"
    " TRUNCATE audit RESTART IDENTITY; INSERT INTO audit (what) VALUES ('first'); COMMIT",
    "truncating a partition": "TRUNCATE parts_rest_1",
    "values out of line that stay": "UPDATE wide SET n = n + 1 WHERE id % 2 = 0;"
    " UPDATE wide SET id = id + 1000 WHERE id > 30;"
    " UPDATE wide SET body = body || 'x' WHERE id = 4",
    "rows between partitions": "UPDATE parts SET at = at + 365 WHERE id % 3 = 0;"
    " UPDATE parts SET at = '2030-01-01' WHERE id % 11 = 0; UPDATE parts SET kind = 'done'"
    " WHERE id % 5 = 0; INSERT INTO parts VALUES (9999, 'open', '1999-01-01', 'd')",
    "no key": "DELETE FROM no_key WHERE ctid = (SELECT min(ctid) FROM no_key WHERE a = 1);"
    " UPDATE no_key SET b = 'one' WHERE ctid = (SELECT max(ctid) FROM no_key WHERE a = 2);"
    " UPDATE no_key SET c = NULL WHERE a = 3; INSERT INTO no_key VALUES (NULL), (1)",
    "on conflict": "INSERT INTO plain VALUES (2, 2, 'x'), (777777, 777777, 'y') ON CONFLICT (id)"
    " DO UPDATE SET what = 'conflict'; INSERT INTO plain VALUES (3) ON CONFLICT DO NOTHING",
    "merging": "MERGE INTO plain p USING (VALUES (4, 'm'), (888888, 'm')) v (id, w) ON p.id = v.id"
    " WHEN MATCHED THEN UPDATE SET what = w WHEN NOT MATCHED THEN INSERT VALUES (v.id, v.id, w)",
    "sequences": "SELECT nextval('alone'), nextval('alone'); INSERT INTO makes_own (n) VALUES (1);"
    " ALTER SEQUENCE alone RESTART WITH -500",
    "unlogged": "DELETE FROM refers_fleeting WHERE id < 5; DELETE FROM fleeting WHERE id < 5;"
    " UPDATE fleeting SET what = 'new'; INSERT INTO fleeting VALUES (500, E'a\\tb\\\\N')",
    "large objects": "SELECT lo_from_bytea(900001, 'new')",
}


@pytest.fixture
def made(tmp_path: Path, old_server: LocalServer, new_server: LocalServer) -> Iterator[Case]:
    with case(tmp_path, old_server, new_server, "naru_following", fill=_fill) as it:
        yield it


def _fill(source: Dsn) -> None:
    with connect(source, purpose="test") as connection:
        connection.execute(CONTENT)


def _change(source: Dsn) -> None:
    """Every kind of change, each statement a transaction of its own unless it says BEGIN."""
    with connect(source, purpose="app") as connection:
        for text in CHANGES.values():
            for statement in text.split(";"):
                connection.execute(statement.strip())
        with connection.cursor().copy("COPY plain (id, other, what) FROM STDIN") as rows:
            for number in range(700_000, 700_500):
                rows.write_row((number, number, "copied\t\\N"))


def _cross(made: Case) -> None:
    with made.record() as record:
        catch_up(record)
        verdict = made.switcher(record).cross().verdict
    assert verdict is not None
    assert verdict.same, found(verdict)
    assert verdict.rows > 100_000


def test_every_kind_of_change_arrives_while_following(made: Case) -> None:
    made.start()
    _change(made.source)
    _cross(made)


def test_every_kind_of_change_arrives_when_made_while_tables_are_copied(
    made: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(*args: object, **options: object) -> int:
        # The copy's snapshot stands; nothing has been read yet.
        _change(made.source)
        return copy_tables(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("naru.migrate.batch.copy_tables", late)
    made.start()
    _cross(made)


def test_a_column_that_is_added_on_both_sides_is_followed(made: Case) -> None:
    adding = "ALTER TABLE plain ADD extra text DEFAULT 'none'"
    made.start()
    with connect(made.source, purpose="app") as source, made.record() as record:
        source.execute(adding)
        source.execute("INSERT INTO plain VALUES (-1, -1, 'x', now(), 'waits for its column')")
        with pytest.raises(RefusedError, match=r"column public\.plain\.extra") as caught:
            made.switcher(record).cross()
        assert "the same change on the other side" in str(caught.value.remedy)
        with connect(made.target, purpose="app") as target:
            target.execute(adding)
        catch_up(record)
        verdict = made.switcher(record).cross().verdict
        assert verdict is not None
        assert verdict.same, found(verdict)
    with connect(made.target, purpose="app") as target:
        extra = fetch_all(target, "SELECT extra FROM plain WHERE id IN (-1, 2) ORDER BY id")
    assert extra == [("waits for its column",), ("none",)]


def test_a_table_that_is_made_on_both_sides_and_added_is_followed(made: Case) -> None:
    made.start()
    making = "CREATE TABLE newcomer (id int PRIMARY KEY REFERENCES plain, what text)"
    with (
        connect(made.source, purpose="app") as source,
        connect(made.target, purpose="app") as target,
        made.record() as record,
    ):
        source.execute(making)
        source.execute("INSERT INTO newcomer SELECT id, what FROM plain LIMIT 100")
        with pytest.raises(RefusedError, match=r"public\.newcomer"):
            made.switcher(record).cross()
        target.execute(making)
        with pytest.raises(RefusedError, match="newcomer is not part of the migration") as caught:
            made.switcher(record).cross()
        name = record.channels[0].name
        for words in (f"ALTER PUBLICATION {name} ADD TABLE", "REFRESH PUBLICATION"):
            assert words in str(caught.value.remedy)
        source.execute(f"ALTER PUBLICATION {name} ADD TABLE newcomer")
        target.execute(f"ALTER SUBSCRIPTION {name} REFRESH PUBLICATION")
        source.execute("UPDATE newcomer SET what = 'later' WHERE id % 2 = 0")
        wait_until(lambda: not _shut(made, record), "the gates to open", 60)
        verdict = made.switcher(record).cross().verdict
        assert verdict is not None
        assert verdict.same, found(verdict)
        assert fetch_value(target, "SELECT count(*) FROM newcomer") == 100


def test_what_unlogged_tables_hold_comes_back_again(made: Case) -> None:
    made.start()
    with made.record() as record:
        made.switcher(record).cross(verify=False)
        with connect(made.target, purpose="app") as target:
            target.execute("DELETE FROM refers_fleeting; UPDATE fleeting SET what = 'there'")
        catch_up(record)
        verdict = made.switcher(record).cross().verdict
        assert verdict is not None
        assert verdict.same, found(verdict)
    with connect(made.source, purpose="app") as source:
        assert fetch_all(source, "SELECT DISTINCT what FROM fleeting") == [("there",)]


def test_unlogged_tables_too_large_for_the_pause_are_told_and_shut_the_gate(made: Case) -> None:
    made.start()
    filling = "INSERT INTO fleeting SELECT g, repeat('x', 1900) FROM generate_series(1001, 11000) g"
    with connect(made.source, purpose="app") as source:
        source.execute(filling)
    with made.record() as record, pytest.raises(RefusedError, match=r"public\.fleeting"):
        made.switcher(record).cross()
    told = {(one.code, one.object) for one in assess(made.source, made.target).findings}
    assert ("schema.unlogged-large", "public.fleeting") in told


def test_a_prepared_transaction_shuts_the_gate_until_it_is_ended(made: Case) -> None:
    made.start()
    with connect(made.source, purpose="app") as source:
        source.execute("BEGIN; INSERT INTO plain VALUES (-7, -7, 'two phases')")
        source.execute("PREPARE TRANSACTION 'a shop''s order'")
        with made.record() as record, pytest.raises(RefusedError, match="a shop's order") as caught:
            made.switcher(record).cross()
        assert "COMMIT PREPARED" in str(caught.value.remedy)
        told = {(one.code, one.object) for one in assess(made.source, made.target).findings}
        assert ("source.prepared-transaction", "a shop's order") in told
        source.execute("COMMIT PREPARED 'a shop''s order'")
    with made.record() as record:
        verdict = made.switcher(record).cross().verdict
        assert verdict is not None
        assert verdict.same, found(verdict)
    with connect(made.target, purpose="app") as target:
        assert fetch_value(target, "SELECT what FROM plain WHERE id = -7") == "two phases"


def _shut(made: Case, record: Record) -> list[str]:
    return [gate.code for gate in made.switcher(record).gates() if gate.severity == "shut"]
