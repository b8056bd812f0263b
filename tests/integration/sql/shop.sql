-- A shop in which nobody who owns or uses anything is superuser. psql -d shop -f shop.sql
SET ROLE shop_owner;

CREATE SCHEMA app;
CREATE EXTENSION citext;
CREATE TYPE app.state AS ENUM ('new', 'paid', 'sent');
CREATE DOMAIN app.amount AS numeric(12, 2) CHECK (VALUE >= 0);

CREATE TABLE app.customer (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email public.citext UNIQUE NOT NULL, secret text, made timestamptz DEFAULT now());
CREATE TABLE app.purchase (
    id serial PRIMARY KEY, customer bigint NOT NULL REFERENCES app.customer,
    state app.state NOT NULL DEFAULT 'new', total app.amount,
    gross numeric GENERATED ALWAYS AS (total * 1.1) STORED);
CREATE INDEX ON app.purchase (customer);
CREATE TABLE app.event (happened date NOT NULL, what text) PARTITION BY RANGE (happened);
CREATE TABLE app.event_2024 PARTITION OF app.event FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE app.event_2025 PARTITION OF app.event FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE SEQUENCE app.ticket START 1000;

CREATE UNLOGGED TABLE app.session (id int PRIMARY KEY, parent int REFERENCES app.session, seen int);
CREATE UNLOGGED TABLE app.basket (id int PRIMARY KEY, session int REFERENCES app.session);
CREATE FUNCTION app.count_seen() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN NEW.seen := coalesce(NEW.seen, 0) + 1; RETURN NEW; END';
CREATE TRIGGER seen BEFORE INSERT ON app.session FOR EACH ROW EXECUTE FUNCTION app.count_seen();

CREATE FUNCTION app.totals(bigint) RETURNS numeric LANGUAGE sql STABLE AS
    'SELECT sum(total) FROM app.purchase WHERE customer = $1';
CREATE FUNCTION app.stamp() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN NEW.made := now(); RETURN NEW; END';
CREATE TRIGGER stamp BEFORE UPDATE ON app.customer FOR EACH ROW EXECUTE FUNCTION app.stamp();
CREATE VIEW app.unpaid AS SELECT id, customer, total FROM app.purchase WHERE state = 'new';
CREATE MATERIALIZED VIEW app.by_state AS SELECT state, count(*) FROM app.purchase GROUP BY 1;
CREATE STATISTICS app.purchase_stats ON customer, state FROM app.purchase;

ALTER TABLE app.customer ENABLE ROW LEVEL SECURITY;
CREATE POLICY everybody ON app.customer USING (true);
GRANT USAGE ON SCHEMA app TO shop_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA app TO shop_app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA app TO shop_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON TABLES TO shop_app;
COMMENT ON TABLE app.customer IS 'Who buys';
RESET ROLE;

-- Things of another role in a schema in which that role may make nothing any more.
GRANT CREATE, USAGE ON SCHEMA app TO shop_reports;
SET ROLE shop_reports;
CREATE TABLE app.report (name text NOT NULL, body jsonb);
CREATE FUNCTION app.report_count() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM app.report';
GRANT SELECT ON app.report TO shop_owner WITH GRANT OPTION;
SET ROLE shop_owner;
GRANT SELECT ON app.report TO shop_app;
REVOKE CREATE ON SCHEMA app FROM shop_reports;

INSERT INTO app.customer (email, secret) SELECT 'c' || n || '@Example.com', md5(n::text)
    FROM generate_series(1, 2000) n;
INSERT INTO app.purchase (customer, state, total)
    SELECT 1 + n % 2000, (ARRAY['new', 'paid', 'sent'])[1 + n % 3]::app.state, n
    FROM generate_series(1, 20000) n;
INSERT INTO app.event SELECT date '2024-01-01' + n % 700, 'event ' || n FROM generate_series(1, 5000) n;
INSERT INTO app.session SELECT n, nullif(n - 1, 0), 0 FROM generate_series(1, 50) n;
INSERT INTO app.basket SELECT n, n FROM generate_series(1, 50) n;
INSERT INTO app.event SELECT '2024-05-05', lo_from_bytea(0, convert_to(repeat('long ', n), 'UTF8'))
    FROM (VALUES (1), (100000)) v (n);
RESET ROLE;
SET ROLE shop_reports;
INSERT INTO app.report SELECT 'report ' || n, jsonb_build_object('n', n) FROM generate_series(1, 100) n;
RESET ROLE;
REFRESH MATERIALIZED VIEW app.by_state;
ALTER DATABASE shop SET work_mem = '7MB';
ALTER ROLE shop_app IN DATABASE shop SET statement_timeout = '30s';
