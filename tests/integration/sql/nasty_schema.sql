-- One of nearly everything a schema can hold, with names that need quotes.
-- ${a} ${b} ${c} are names of roles, unique to the test.
CREATE ROLE ${a} LOGIN PASSWORD 'Secret-1-word' CONNECTION LIMIT 7 VALID UNTIL '2099-01-01';
CREATE ROLE ${b} NOLOGIN CREATEDB;
CREATE ROLE ${c} LOGIN NOINHERIT PASSWORD 'Other-2-word';
GRANT ${b} TO ${c} WITH ADMIN OPTION;
ALTER ROLE ${a} SET search_path = "Odd Schema", public;
ALTER ROLE ${a} SET work_mem = '12MB';

CREATE SCHEMA "Odd Schema" AUTHORIZATION ${b};
CREATE SCHEMA app;
GRANT USAGE ON SCHEMA app TO ${a};
CREATE EXTENSION citext;
CREATE EXTENSION btree_gist;

CREATE TYPE app.mood AS ENUM ('sad', 'it''s ok', '행복');
CREATE DOMAIN app.positive AS int CHECK (VALUE > 0);
CREATE TYPE app.pair AS (x int, y text);
CREATE TYPE app.span AS RANGE (subtype = float8);
CREATE COLLATION app.plain FROM "C";
CREATE SEQUENCE app.alone INCREMENT -3 MINVALUE -100 MAXVALUE 5 START 5 CYCLE CACHE 4;

CREATE FUNCTION app.tricky() RETURNS text LANGUAGE plpgsql AS $body$
BEGIN
    RETURN '
--
-- TOC entry 5 (class 1259 OID 77)
-- Name: no; Type: TABLE; Schema: public; Owner: nobody
--
';
END $body$;
CREATE FUNCTION app.modern(i int) RETURNS int LANGUAGE sql IMMUTABLE BEGIN ATOMIC SELECT i + 1; END;
CREATE FUNCTION app.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE PROCEDURE app.work(a int) LANGUAGE sql AS 'SELECT 1';
CREATE AGGREGATE app.total(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0');

CREATE TABLE app.person (
    id int GENERATED ALWAYS AS IDENTITY (START 100 INCREMENT 10),
    code serial,
    name citext NOT NULL DEFAULT 'nobody',
    "Mixed ""Case""; -- x" text COLLATE app.plain,
    feeling app.mood DEFAULT 'it''s ok',
    size app.positive,
    "Both" app.pair,
    twice int GENERATED ALWAYS AS (code * 2) STORED,
    boss int,
    gone int,
    CONSTRAINT "person pk" PRIMARY KEY (id),
    CONSTRAINT unnamed UNIQUE NULLS NOT DISTINCT (code, size) INCLUDE (name),
    CONSTRAINT later UNIQUE (boss, id) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT "sane; check" CHECK (app.modern(size) > 1)
) WITH (fillfactor = 80);
ALTER TABLE app.person DROP COLUMN gone;
ALTER TABLE app.person ALTER COLUMN name SET STATISTICS 500;
CREATE TABLE app.team (id int PRIMARY KEY, lead int NOT NULL, UNIQUE (lead));
ALTER TABLE app.person ADD team int REFERENCES app.team DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE app.team ADD FOREIGN KEY (lead) REFERENCES app.person (id) ON DELETE CASCADE;
ALTER TABLE app.person ADD CONSTRAINT own_boss FOREIGN KEY (boss) REFERENCES app.person NOT VALID;
ALTER TABLE app.team ADD CONSTRAINT not_seven CHECK (lead <> 7) NOT VALID;
ALTER TABLE app.team REPLICA IDENTITY USING INDEX team_lead_key;
ALTER TABLE app.team CLUSTER ON team_pkey;
CREATE INDEX "index of -- TOC" ON app.person (lower(name), code DESC NULLS LAST) WHERE size > 3;
CREATE INDEX person_gin ON app.person USING gin (to_tsvector('simple', name::text));
CREATE STATISTICS app.st (ndistinct) ON code, boss FROM app.person;

CREATE TABLE "Odd Schema"."Select" ("from" int, room int, during tstzrange,
    EXCLUDE USING gist (room WITH =, during WITH &&));
ALTER TABLE "Odd Schema"."Select" OWNER TO ${b};
ALTER TABLE "Odd Schema"."Select" REPLICA IDENTITY FULL;
CREATE UNLOGGED TABLE app.fleeting (id int PRIMARY KEY);
CREATE TABLE app.nothing ();

CREATE TABLE app.event (at date NOT NULL, id int NOT NULL, person int REFERENCES app.person,
    what text, PRIMARY KEY (at, id)) PARTITION BY RANGE (at);
CREATE TABLE app.event_1 PARTITION OF app.event FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE app.event_2 PARTITION OF app.event FOR VALUES FROM ('2021-01-01') TO ('2022-01-01')
    PARTITION BY HASH (id);
CREATE TABLE app.event_2_0 PARTITION OF app.event_2 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE app.event_2_1 PARTITION OF app.event_2 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE app.event_rest PARTITION OF app.event DEFAULT;
CREATE INDEX event_what ON app.event (what);
CREATE TABLE app.parent (id int, CHECK (id > 0));
CREATE TABLE app.child (extra text) INHERITS (app.parent);

CREATE VIEW app.grouped AS SELECT t.*, count(*) AS n FROM app.team t GROUP BY t.id;
CREATE VIEW app.checked WITH (security_barrier) AS
    SELECT * FROM app.team WHERE id > 0 WITH LOCAL CHECK OPTION;
CREATE MATERIALIZED VIEW app.first AS SELECT id, lead FROM app.team;
CREATE UNIQUE INDEX first_id ON app.first (id);
CREATE MATERIALIZED VIEW app.a_second AS SELECT count(*) AS n FROM app.first;
CREATE MATERIALIZED VIEW app.keyed AS SELECT id, lead, count(*) FROM app.team GROUP BY team.id;
CREATE INDEX keyed_lead ON app.keyed (lead);
CREATE MATERIALIZED VIEW app.stale AS SELECT 1 AS one WITH NO DATA;
CREATE VIEW app.on_top AS SELECT * FROM app.a_second;

CREATE TRIGGER "t 1" BEFORE INSERT ON app.person FOR EACH ROW EXECUTE FUNCTION app.touch();
CREATE TRIGGER t_off AFTER UPDATE ON app.person FOR EACH ROW WHEN (OLD.id <> NEW.id)
    EXECUTE FUNCTION app.touch();
CREATE TRIGGER t_always BEFORE UPDATE ON app.person FOR EACH ROW EXECUTE FUNCTION app.touch();
CREATE CONSTRAINT TRIGGER t_late AFTER INSERT ON app.team DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION app.touch();
ALTER TABLE app.person DISABLE TRIGGER t_off;
ALTER TABLE app.person ENABLE ALWAYS TRIGGER t_always;
CREATE RULE quiet AS ON DELETE TO app.team DO INSTEAD NOTHING;
ALTER TABLE app.person ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.person FORCE ROW LEVEL SECURITY;
CREATE POLICY "own -- rows" ON app.person FOR SELECT TO ${a} USING (name = current_user::citext);

GRANT SELECT (id, name), UPDATE (name) ON app.person TO ${a};
GRANT SELECT ON ALL TABLES IN SCHEMA app TO ${c} WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON TABLES TO ${a};
REVOKE EXECUTE ON FUNCTION app.tricky() FROM PUBLIC;
COMMENT ON TABLE app.person IS E'line one\n--\n-- TOC entry 6 (class 1259 OID 88)\nit''s';
COMMENT ON COLUMN app.person.name IS '이름';
COMMENT ON INDEX app.event_what IS 'what -- happened';
COMMENT ON CONSTRAINT "person pk" ON app.person IS 'a key';
COMMENT ON TRIGGER "t 1" ON app.person IS 'a trigger';

CREATE FUNCTION app.watch() RETURNS event_trigger LANGUAGE plpgsql AS
    'BEGIN RAISE EXCEPTION ''no DDL here''; END';
INSERT INTO app.person (name, size) SELECT 'n' || i, i FROM generate_series(1, 50) i;
INSERT INTO app.team SELECT i, 100 + 10 * i FROM generate_series(1, 20) i;
INSERT INTO app.event SELECT '2020-06-01'::date + i * 10, i, 100, 'w' || i
    FROM generate_series(1, 80) i;
REFRESH MATERIALIZED VIEW app.first;
REFRESH MATERIALIZED VIEW app.a_second;
REFRESH MATERIALIZED VIEW app.keyed;
CREATE EVENT TRIGGER ${a}_watch ON ddl_command_end WHEN TAG IN ('CREATE DOMAIN')
    EXECUTE FUNCTION app.watch();
