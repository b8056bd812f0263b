-- Objects that are no tables: one of each kind that few databases have.
-- {role} is replaced by a role that the test has made.
CREATE SCHEMA shop;
CREATE TYPE shop.mood AS ENUM ('sad', 'ok');
CREATE TABLE shop.owned (id int PRIMARY KEY, what text);
CREATE TABLE shop.pair (id int PRIMARY KEY, value text);
CREATE INDEX pair_value ON shop.pair (value);
CREATE TABLE shop.log (line text);
CREATE MATERIALIZED VIEW shop.counts AS SELECT count(*) FROM shop.owned;

CREATE FUNCTION shop.watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER watch ON ddl_command_end WHEN TAG IN ('CREATE CAST', 'CREATE DOMAIN')
    EXECUTE FUNCTION shop.watch();
CREATE FUNCTION shop.own_handler() RETURNS language_handler LANGUAGE c
    AS '$libdir/plpgsql', 'plpgsql_call_handler';
CREATE LANGUAGE own HANDLER shop.own_handler;
CREATE LANGUAGE second HANDLER shop.own_handler;
CREATE TRANSFORM FOR macaddr LANGUAGE sql (FROM SQL WITH FUNCTION prsd_lextype(internal),
    TO SQL WITH FUNCTION macaddr_recv(internal));
CREATE ACCESS METHOD heap_too TYPE TABLE HANDLER heap_tableam_handler;
CREATE CONVERSION shop.latin FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
CREATE FUNCTION shop.mood_number(shop.mood) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
CREATE CAST (shop.mood AS int) WITH FUNCTION shop.mood_number(shop.mood) AS ASSIGNMENT;
CREATE OPERATOR shop.=== (FUNCTION = pg_catalog.int4eq, LEFTARG = int, RIGHTARG = int);
CREATE FUNCTION shop.backwards(a int, b int) RETURNS int LANGUAGE sql IMMUTABLE STRICT
    AS 'SELECT pg_catalog.btint4cmp($2, $1)';
CREATE OPERATOR CLASS shop.backwards FOR TYPE int USING btree AS
    OPERATOR 1 > (int, int), OPERATOR 2 >= (int, int), OPERATOR 3 = (int, int),
    OPERATOR 4 <= (int, int), OPERATOR 5 < (int, int), FUNCTION 1 shop.backwards(int, int);
CREATE COLLATION shop.plain (provider = libc, locale = 'C');
CREATE TEXT SEARCH DICTIONARY shop.words (template = pg_catalog.simple, stopwords = english);
CREATE TEXT SEARCH CONFIGURATION shop.texts (copy = pg_catalog.simple);
CREATE FOREIGN DATA WRAPPER nowhere;
CREATE SERVER far FOREIGN DATA WRAPPER nowhere OPTIONS (host 'there', token 'a secret');
CREATE USER MAPPING FOR PUBLIC SERVER far OPTIONS (password 'a secret');
CREATE PUBLICATION books FOR TABLE shop.owned WITH (publish = 'insert, delete');
