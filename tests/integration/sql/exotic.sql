-- Every kind of object that a database can hold, with rows that are hard to carry.
-- For psql, which gives the roles' names, and how many rows or repetitions make a value wide:
-- -v owner=… -v member=… -v reader=… -v database=… -v wide=…
\set ON_ERROR_STOP on
SET client_min_messages = warning;

-- What this server's version does not have is left out, or stands in by what it has.
SELECT current_setting('server_version_num')::int / 10000 AS major \gset
SELECT :major >= 14 AS has_14, :major >= 15 AS has_15, :major >= 17 AS has_17,
    :major >= 18 AS has_18 \gset
\if :has_14
    \set named_multirange ', multirange_type_name = float_spans'
    \set int4multirange int4multirange
    \set tstzmultirange tstzmultirange
    \set float_spans float_spans
    \set infinity Infinity
    \set minus_infinity -Infinity
    \set minmax_ops int4_minmax_multi_ops
\else
    \set named_multirange ''
    \set int4multirange text
    \set tstzmultirange text
    \set float_spans text
    \set infinity 1e100
    \set minus_infinity -1e100
    \set minmax_ops int4_minmax_ops
\endif
\if :has_15
    \set unlogged UNLOGGED
    \set nulls 'NULLS NOT DISTINCT'
    \set only_self '(self)'
    \set invoker ', security_invoker'
    \set some_columns '(id, n) WHERE (id > 1)'
\else
    \set unlogged ''
    \set nulls ''
    \set only_self ''
    \set invoker ''
    \set some_columns ''
\endif

-- Roles: attributes, memberships, settings.
CREATE ROLE :"owner" NOLOGIN CREATEDB CREATEROLE;
CREATE ROLE :"member" LOGIN NOINHERIT PASSWORD 'member-Secret.1' CONNECTION LIMIT 3
    VALID UNTIL '2090-05-05 12:00:00+00';
CREATE ROLE :"reader" LOGIN BYPASSRLS REPLICATION PASSWORD 'reader-Secret.2';
GRANT :"owner" TO :"member" WITH ADMIN OPTION;
GRANT pg_monitor TO :"reader";
ALTER ROLE :"reader" SET statement_timeout = '90s';
ALTER ROLE :"reader" IN DATABASE :"database" SET search_path = "Odd ""Schema""", exotic, public;
ALTER DATABASE :"database" SET work_mem = '9MB';
ALTER DATABASE :"database" SET datestyle = 'German, DMY';
ALTER DATABASE :"database" SET "exotic.setting" = 'a, "b"';
ALTER DATABASE :"database" CONNECTION LIMIT 77;
COMMENT ON DATABASE :"database" IS E'a database''s "comment"\nof two lines';
REVOKE TEMPORARY ON DATABASE :"database" FROM PUBLIC;
GRANT CREATE ON DATABASE :"database" TO :"member" WITH GRANT OPTION;

CREATE SCHEMA exotic AUTHORIZATION :"owner";
CREATE SCHEMA "Odd ""Schema""";
CREATE SCHEMA extensions;
COMMENT ON SCHEMA exotic IS 'everything there is';
GRANT USAGE ON SCHEMA exotic TO PUBLIC;
GRANT CREATE, USAGE ON SCHEMA exotic TO :"member" WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES IN SCHEMA exotic GRANT SELECT ON TABLES TO :"reader";
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA exotic GRANT USAGE ON SEQUENCES TO :"member";

CREATE EXTENSION hstore SCHEMA extensions;
CREATE EXTENSION citext SCHEMA extensions;
CREATE EXTENSION btree_gist SCHEMA extensions;
CREATE EXTENSION pg_trgm SCHEMA extensions;
CREATE EXTENSION postgres_fdw SCHEMA extensions;
COMMENT ON EXTENSION citext IS 'ours';
SET search_path = exotic, extensions, public;

-- Types.
CREATE TYPE mood AS ENUM ('sad', 'it''s ok', '행복');
ALTER TYPE mood ADD VALUE 'meh' BEFORE 'it''s ok';
CREATE DOMAIN positive AS numeric(12, 3) DEFAULT 1 CONSTRAINT above_zero CHECK (VALUE > 0);
CREATE DOMAIN shouted AS mood[] CHECK (cardinality(VALUE) < 9);
CREATE DOMAIN checked_late AS text;
CREATE TYPE pair AS (x int, y text COLLATE "C", feeling mood);
CREATE TYPE nested AS (one pair, many pair[], amount positive);
CREATE DOMAIN good_pair AS pair CHECK ((VALUE).x > 0);
CREATE TYPE float_span AS RANGE (subtype = float8, subtype_diff = float8mi
    :named_multirange);
CREATE TYPE mood_span AS RANGE (subtype = mood);
CREATE TYPE shell_only;
COMMENT ON TYPE mood IS 'how one feels';
COMMENT ON DOMAIN positive IS 'more than nothing';
COMMENT ON CONSTRAINT above_zero ON DOMAIN positive IS 'why';
COMMENT ON COLUMN pair.x IS 'the first';
CREATE COLLATION plain (provider = libc, locale = 'C');
COMMENT ON COLLATION plain IS 'bytes';

-- Functions of all sorts.
CREATE FUNCTION tricky(text DEFAULT ';', VARIADIC rest int[] DEFAULT '{1}') RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED COST 7 SECURITY DEFINER LEAKPROOF
    SET search_path = exotic AS '
BEGIN -- TOC entry 1 (class 1259 OID 5)
    RETURN $1 || E''\\'';--'' || array_length(rest, 1);
END';
\if :has_14
CREATE FUNCTION plus(i int) RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE
    BEGIN ATOMIC SELECT i + 1; END;
\else
CREATE FUNCTION plus(i int) RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT i + 1';
\endif
CREATE FUNCTION rows_of(n int) RETURNS TABLE (a int, b text) LANGUAGE sql ROWS 42 AS
    'SELECT g, g::text FROM generate_series(1, n) g';
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE FUNCTION watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN NULL; END';
CREATE PROCEDURE work(INOUT n int) LANGUAGE plpgsql AS 'BEGIN n := n + 1; END';
CREATE FUNCTION pair_less(pair, pair) RETURNS bool LANGUAGE sql IMMUTABLE AS
    'SELECT ($1).x < ($2).x';
CREATE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0', PARALLEL = SAFE,
    COMBINEFUNC = int4pl);
CREATE AGGREGATE percentile(float8 ORDER BY anyelement) (SFUNC = ordered_set_transition,
    STYPE = internal, FINALFUNC = percentile_disc_final, FINALFUNC_EXTRA);
CREATE OPERATOR <<<< (LEFTARG = pair, RIGHTARG = pair, FUNCTION = pair_less);
CREATE OPERATOR CLASS reverse_int FOR TYPE int USING btree AS OPERATOR 1 >, OPERATOR 2 >=,
    OPERATOR 3 =, OPERATOR 4 <=, OPERATOR 5 <, FUNCTION 1 btint4cmp(int, int);
CREATE FUNCTION to_pair(int) RETURNS pair LANGUAGE sql IMMUTABLE AS
    'SELECT ROW($1, NULL, NULL)::exotic.pair';
CREATE CAST (int AS pair) WITH FUNCTION to_pair(int) AS ASSIGNMENT;
CREATE CAST (mood AS text) WITH INOUT AS IMPLICIT;
CREATE CONVERSION own_conversion FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
COMMENT ON FUNCTION plus(int) IS 'one more';
COMMENT ON PROCEDURE work(int) IS 'a procedure';
COMMENT ON AGGREGATE total(int) IS 'an aggregate';
COMMENT ON OPERATOR <<<< (pair, pair) IS 'an operator';
COMMENT ON CAST (int AS pair) IS 'a cast';
REVOKE ALL ON FUNCTION tricky(text, int[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tricky(text, int[]) TO :"reader";
REVOKE USAGE ON TYPE mood FROM PUBLIC;
GRANT USAGE ON TYPE mood TO :"member", :"owner";

-- Sequences.
CREATE SEQUENCE never_called START 17;
CREATE SEQUENCE downwards INCREMENT -3 MINVALUE -100 MAXVALUE 5 START 5;
CREATE SEQUENCE round_and_round AS smallint MAXVALUE 3 CYCLE;
CREATE SEQUENCE cached CACHE 20;
CREATE :unlogged SEQUENCE unlogged_sequence;
SELECT nextval('downwards'), nextval('downwards'), nextval('cached'), nextval('unlogged_sequence');
SELECT nextval('round_and_round') FROM generate_series(1, 4);
SELECT setval('"never_called"', 17, false);
COMMENT ON SEQUENCE cached IS 'in twenties';
GRANT USAGE ON SEQUENCE cached TO :"reader";

-- Tables without much.
CREATE TABLE no_columns ();
INSERT INTO no_columns DEFAULT VALUES;
INSERT INTO no_columns DEFAULT VALUES;
CREATE TABLE no_rows (id int PRIMARY KEY, what text);
CREATE TABLE all_dropped (a int, b text);
INSERT INTO all_dropped VALUES (1, 'x'), (2, 'y');
ALTER TABLE all_dropped DROP COLUMN a, DROP COLUMN b;
CREATE TABLE some_dropped (a int, id int PRIMARY KEY, b text, c text DEFAULT 'c');
INSERT INTO some_dropped SELECT g, g, 'b', 'c' || g FROM generate_series(1, 100) g;
ALTER TABLE some_dropped DROP COLUMN a, DROP COLUMN b;
ALTER TABLE some_dropped ADD late text DEFAULT 'fast default', ADD later int[] DEFAULT '{1,2}';
CREATE UNLOGGED TABLE fleeting (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, what text);
INSERT INTO fleeting (what) SELECT 'f' || g FROM generate_series(1, 50) g;
CREATE TABLE of_type OF pair (x WITH OPTIONS NOT NULL, PRIMARY KEY (x));
INSERT INTO of_type VALUES (1, 'y', 'meh');

-- Columns that make their own values.
CREATE TABLE own_values (
    id bigint GENERATED ALWAYS AS IDENTITY
        (SEQUENCE NAME own_name START 100 INCREMENT 10 MAXVALUE 99999 CACHE 5 CYCLE),
    other int GENERATED BY DEFAULT AS IDENTITY (START -5 INCREMENT -1 MINVALUE -1000),
    code smallserial,
    big bigserial,
    base int DEFAULT plus(1),
    twice int GENERATED ALWAYS AS (base * 2) STORED,
    shown text GENERATED ALWAYS AS ('x' || chr(65)) STORED,
    PRIMARY KEY (id));
INSERT INTO own_values (base) SELECT g FROM generate_series(1, 30) g;
COMMENT ON TABLE own_values IS E'line one\n--\n-- TOC entry 6 (class 1259 OID 88)\nit''s';
COMMENT ON COLUMN own_values.twice IS '두 배';

-- Every type that has difficult values.
CREATE TABLE values_of_all_types (
    id int PRIMARY KEY, t text, v varchar(9), c char(5), n numeric, n2 positive, f4 float4,
    f8 float8, d date, ts timestamp, tz timestamptz, ti time, ttz timetz, iv interval, m money,
    b bytea, bits bit(3), bits_some bit varying, j json, jb jsonb, x xml, u uuid, h hstore,
    ci citext, net inet, ci_net cidr, mac macaddr, mac8 macaddr8, lsn pg_lsn, tv tsvector,
    tq tsquery, po point, li line, ls lseg, bo box, pa path, pg polygon, cc circle, e mood,
    ea mood[], sh shouted, pr pair, pra pair[], ne nested, gp good_pair, r4 int4range,
    r4m :int4multirange, rn numrange, rtz tstzrange, rtzm :tstzmultirange, rf float_span,
    rfm :float_spans, rfa float_span[], rm mood_span, ia int[], ta text[], na numeric[], o oid,
    rc regclass, rt regtype, ch "char", nm name, jp jsonpath, txid pg_snapshot, late checked_late,
    co text COLLATE plain, ic text COLLATE "ucs_basic", ci_a citext[]);
INSERT INTO values_of_all_types VALUES
 (1, '', '', '', 'NaN', 0.001, '-0', '-0', '-infinity', '-infinity', '-infinity', '24:00:00',
  '24:00:00-15:59:59', '-178000000 years', '-92233720368547758.08', '', B'000', B'', '{}', '{}',
  '', '00000000-0000-0000-0000-000000000000', '', '', '0.0.0.0/0', '::/0', '00:00:00:00:00:00',
  '00:00:00:00:00:00:00:00', '0/0', '', '', '(-0,-0)', '{0,-1,0}', '[(0,0),(0,0)]', '(0,0),(0,0)',
  '[(0,0)]', '((0,0))', '<(0,0),0>', 'sad', '{}', '{}', '(,,)', '{}', '(,,)', '(1,,)', 'empty', '{}',
  'empty', '(,)', '{(,)}', 'empty', '{}', '{}', 'empty', '{}', '{}', '{}', 0, '-', '-', '',
  '', '$', '1:1:', '', '', '', '{}'),
 (2, E'\\N', E'\\.', E'a\tb', :'infinity', 999999999.999, 'NaN', 'NaN', 'infinity', 'infinity',
  'infinity', '23:59:59.999999', '00:00:00+15:59:59', '178000000 years 11 mons 31 days -0.000001',
  '92233720368547758.07', '\x00ff0a0d5c2e', B'101', B'1110', '{"a":1,"a":2, "b" : [ ]}',
  '{"b": 1e400, "a": "\u00e9\\u0041"}', '<?xml version="1.0"?><a>&lt;</a>',
  'ffffffff-ffff-ffff-ffff-ffffffffffff', '"k \"=>" => NULL, x=>"a,b"', 'ÀÉ', '10.1.3.32/8',
  '10.0.0.0/8', 'ff:ff:ff:ff:ff:ff', 'ff:ff:ff:ff:ff:ff:ff:ff', 'FFFFFFFF/FFFFFFFF',
  '''a '''' b'':1A,16383D x', '!( a & ''b'':*A ) <-> c', '(Infinity,-Infinity)', '{1,2,3}',
  '[(1e300,-1e-300),(NaN,2)]', '(3,4),(1,2)', '((1,2),(3,4))', '((1,2),(3,4),(5,6))',
  '<(1.1,2.2),3.3>', '행복', '{sad,NULL,"it''s ok"}', '{meh}', '(1,"a ""b"", (c)",meh)',
  '{"(1,\"x,y\",sad)",NULL,"(,,)"}', '("(1,a,sad)","{""(2,b,meh)""}",5)', '(7,"",sad)',
  '[-2147483648,2147483646]', '{[1,2),[5,9)}', numrange(:'minus_infinity', 'NaN', '(]'), '["-infinity","infinity")',
  '{["2020-01-01 00:00:00+00","2021-01-01 00:00:00+00")}', '(-0,1e308]', '{[1,2],(3,4)}',
  '{"[1,2]",empty,NULL}', '[sad,meh]', '[-5:-4][2:3]={{1,2},{3,NULL}}', '{"a,b","NULL",NULL,"\"","\\"}',
  ARRAY['NaN', :'infinity', :'minus_infinity', '1.000']::numeric[], 4294967295, 'no_rows', 'mood[]', 'x', 'a name "x"',
  'strict $."a"[*] ? (@ > 1)', '10:20:10,14,15', 'late', 'é', 'Straße', '{A,b}'),
 (3, E'tab\there\nnew\rret\bback\fform\vvert\\slash\x01', 'ㄱㄴㄷ', '😀', :'minus_infinity', 12.5,
  '1.17549435e-38', '5e-324', '4713-01-01 BC', '4713-01-01 00:00:00 BC',
  '4713-01-01 00:00:00+00 BC', '00:00', '12:00:00.5+09:30', '1 mon -1 day 00:00:00.1', '0.01',
  decode(repeat('00', 3000), 'hex'), B'010', B'0', 'null', 'null', '<![CDATA[ <x> ]]>',
  gen_random_uuid(), 'a=>"\"", ""=>""', NULL, '::ffff:1.2.3.4', 'fe80::/10', NULL, NULL, '1/0',
  'a:1 b:2', 'a', NULL, NULL, NULL, NULL, '[(0,0),(1,1)]', NULL, NULL, NULL, '[3:4]={sad,meh}', NULL,
  NULL, '[0:0]={NULL}', NULL, NULL, '(,5)', '{(,1),[7,)}', '[1.000,2.00]', NULL, NULL, NULL, NULL,
  NULL, NULL, '{{{1}}}', E'{"a\nb","\\\\N"}', '{1e-1000,0.00}', 16384, 'pg_class', 'pair', E'\x7f',
  NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO values_of_all_types (id, n, f8, f4, d, ts, tz, iv) VALUES
 (4, ('9' || repeat('0', 131000))::numeric, 1.7976931348623157e308, 3.4028235e38, '5874897-12-31',
  '294276-12-31 23:59:59.999999', '294276-12-31 23:59:59.999999+00', '0'),
 (5, ('0.' || repeat('0', 16380) || '1')::numeric, 0.1 + 0.2, 0.1, '0001-01-01', '0001-12-31 BC',
  '1883-11-18 12:03:57+00', '-1 year -2 mons +3 days -04:05:06.789'),
 (6, 1.10, NULL, NULL, '2000-02-29', '1999-12-31 24:00:00', '2024-10-27 02:30:00+02', '1000000:00:00'),
 (7, -0.000, NULL, NULL, NULL, NULL, NULL, NULL);
ALTER DOMAIN checked_late ADD CONSTRAINT too_late CHECK (VALUE = 'never') NOT VALID;
CREATE TABLE wide_values (id int PRIMARY KEY, t text, b bytea);
ALTER TABLE wide_values ALTER t SET STORAGE EXTERNAL;
\if :has_14
ALTER TABLE wide_values ALTER b SET COMPRESSION pglz;
\endif
INSERT INTO wide_values VALUES (1, repeat(E'much of \t and \n and \\\\', :wide), NULL);
INSERT INTO wide_values SELECT 2, NULL, decode(string_agg(md5(g::text), ''), 'hex')
    FROM generate_series(1, :wide / 4) g;
SELECT 'CREATE TABLE many_columns (id int, ' || string_agg(format('c%s int', g), ', ') || ')'
    FROM generate_series(1, 1500) g \gexec
INSERT INTO many_columns SELECT generate_series(1, 5);

-- Names.
CREATE TABLE "Odd ""Schema"""."Sel""ect; -- DROP" ("from" int PRIMARY KEY, "a.b" text, "Ünï {} %s" int,
    "tab	bed" int, "line
break" text);
INSERT INTO "Odd ""Schema"""."Sel""ect; -- DROP" VALUES (1, 'x', 2, 3, 'y');
CREATE TABLE "Odd ""Schema"""."a.b" (id int PRIMARY KEY);
CREATE TABLE "a.b" (id int PRIMARY KEY);
CREATE TABLE "select" ("table" int PRIMARY KEY, "user" text, ctid_ tid);
INSERT INTO "select" VALUES (1, 'u', '(1,2)');
CREATE TABLE "sixty_three_characters_long_name_that_goes_to_the_very_end_12345" (id int PRIMARY KEY);

-- Partitions and inheritance.
CREATE TABLE by_range (at date NOT NULL, id int NOT NULL, what text, PRIMARY KEY (at, id))
    PARTITION BY RANGE (at);
CREATE TABLE by_range_1 PARTITION OF by_range FOR VALUES FROM (MINVALUE) TO ('2021-01-01');
CREATE TABLE by_range_2 (what text, gone int, id int NOT NULL, at date NOT NULL);
ALTER TABLE by_range_2 DROP COLUMN gone;
ALTER TABLE by_range ATTACH PARTITION by_range_2 FOR VALUES FROM ('2021-01-01') TO ('2022-01-01');
CREATE TABLE by_range_3 PARTITION OF by_range FOR VALUES FROM ('2022-01-01') TO ('2023-01-01')
    PARTITION BY HASH (id);
CREATE TABLE by_range_3_0 PARTITION OF by_range_3 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE by_range_3_1 PARTITION OF by_range_3 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE by_range_rest PARTITION OF by_range DEFAULT;
INSERT INTO by_range SELECT '2019-06-01'::date + g * 3, g, 'w' || g FROM generate_series(1, 800) g;
CREATE INDEX by_range_what ON by_range (what);
CREATE INDEX by_range_1_only ON by_range_1 (id);
CREATE TABLE by_list (kind mood, id int) PARTITION BY LIST (kind);
CREATE TABLE by_list_some PARTITION OF by_list FOR VALUES IN ('sad', NULL);
CREATE TABLE by_list_rest PARTITION OF by_list DEFAULT;
INSERT INTO by_list SELECT (enum_range(NULL::mood))[1 + g % 5], g FROM generate_series(1, 50) g;
CREATE TABLE by_hash (id bigint, what text) PARTITION BY HASH (id, what);
CREATE TABLE by_hash_0 PARTITION OF by_hash FOR VALUES WITH (MODULUS 3, REMAINDER 0);
CREATE TABLE by_hash_1 PARTITION OF by_hash FOR VALUES WITH (MODULUS 3, REMAINDER 1);
CREATE TABLE by_hash_2 PARTITION OF by_hash FOR VALUES WITH (MODULUS 3, REMAINDER 2);
INSERT INTO by_hash SELECT g, 'w' || g FROM generate_series(1, 300) g;
CREATE TABLE no_partitions (id int) PARTITION BY RANGE ((id + 1));
CREATE TABLE parent (id int PRIMARY KEY, what text DEFAULT 'p', CHECK (id > 0),
    CONSTRAINT own_only CHECK (id < 1000) NO INHERIT);
CREATE TABLE other_parent (extra text);
CREATE TABLE child (more int, PRIMARY KEY (id)) INHERITS (parent, other_parent);
CREATE TABLE grandchild (id int NOT NULL DEFAULT 9) INHERITS (child);
INSERT INTO parent SELECT g FROM generate_series(1, 20) g;
INSERT INTO child SELECT g, 'c', 'e', g FROM generate_series(10, 30) g;
INSERT INTO grandchild VALUES (9, 'g', 'e', 1), (9, 'g', 'e', 1);

-- Tables without a key, and replica identities.
CREATE TABLE no_key (a int, b text, c jsonb, d point);
INSERT INTO no_key SELECT g % 5, NULL, '{"a": 1}', '(1,2)' FROM generate_series(1, 60) g;
CREATE TABLE unique_index_only (a int NOT NULL, b text NOT NULL, c text);
CREATE UNIQUE INDEX unique_index_only_ab ON unique_index_only (b, a);
INSERT INTO unique_index_only SELECT g, 'b' || g, 'c' FROM generate_series(1, 40) g;
CREATE TABLE identity_index (a int NOT NULL, b text);
CREATE UNIQUE INDEX identity_index_a ON identity_index (a) INCLUDE (b);
ALTER TABLE identity_index REPLICA IDENTITY USING INDEX identity_index_a;
INSERT INTO identity_index SELECT g FROM generate_series(1, 40) g;
CREATE TABLE identity_full (a int, b text);
ALTER TABLE identity_full REPLICA IDENTITY FULL;
INSERT INTO identity_full SELECT g % 3, 'x' FROM generate_series(1, 30) g;
CREATE TABLE identity_nothing (a int PRIMARY KEY, b text);
ALTER TABLE identity_nothing REPLICA IDENTITY NOTHING;
INSERT INTO identity_nothing SELECT g FROM generate_series(1, 10) g;
CREATE TABLE deferrable_key (a int, b int, PRIMARY KEY (a) DEFERRABLE INITIALLY DEFERRED,
    UNIQUE (b) DEFERRABLE);
INSERT INTO deferrable_key SELECT g, g FROM generate_series(1, 10) g;
CREATE TABLE exclusive (room int, during tstzrange,
    CONSTRAINT no_overlap EXCLUDE USING gist (room WITH =, during WITH &&) WHERE (room > 0)
    DEFERRABLE);
INSERT INTO exclusive SELECT g, tstzrange('2024-01-01', '2024-01-02') FROM generate_series(1, 9) g;

-- Foreign keys in circles, some that the rows break already.
CREATE TABLE egg (id int PRIMARY KEY, hen int, CONSTRAINT checked_later CHECK (id < 0) NOT VALID);
CREATE TABLE hen (id int PRIMARY KEY, egg int REFERENCES egg DEFERRABLE INITIALLY DEFERRED,
    self int REFERENCES hen ON DELETE SET NULL :only_self ON UPDATE CASCADE);
ALTER TABLE egg DROP CONSTRAINT checked_later;
BEGIN;
INSERT INTO hen SELECT g, g, 1 + (g + 3) % 20 FROM generate_series(1, 20) g;
INSERT INTO egg SELECT g, g FROM generate_series(1, 20) g;
INSERT INTO egg VALUES (900, 12345);
COMMIT;
ALTER TABLE egg ADD CONSTRAINT broken_already FOREIGN KEY (hen) REFERENCES hen NOT VALID;
ALTER TABLE egg ADD CONSTRAINT checked_later CHECK (id < 0) NOT VALID;
CREATE TABLE of_partitions (at date, id int, FOREIGN KEY (at, id) REFERENCES by_range MATCH FULL);
INSERT INTO of_partitions SELECT at, id FROM by_range;

-- Indexes.
CREATE TABLE indexed (id int PRIMARY KEY, t text, n int, j jsonb, p point, r int4range, tv tsvector,
    a int[], i inet, CONSTRAINT named UNIQUE :nulls (n, t) INCLUDE (id))
    WITH (fillfactor = 71, autovacuum_enabled = false, toast.autovacuum_vacuum_scale_factor = 0.3,
          parallel_workers = 3);
INSERT INTO indexed SELECT g, 't' || g, g, jsonb_build_object('k', g), point(g, g), int4range(g, g + 3),
    to_tsvector('simple', 'word' || g), ARRAY[g], ('10.0.0.' || g % 250)::inet FROM generate_series(1, 500) g;
CREATE INDEX indexed_btree ON indexed (n DESC NULLS LAST, t COLLATE plain text_pattern_ops)
    WITH (fillfactor = 66, deduplicate_items = off);
CREATE INDEX indexed_hash ON indexed USING hash (t);
CREATE INDEX indexed_gin ON indexed USING gin (j jsonb_path_ops) WITH (fastupdate = off);
CREATE INDEX indexed_gin_trgm ON indexed USING gin (t gin_trgm_ops, a);
CREATE INDEX indexed_gist ON indexed USING gist (p, r) WITH (buffering = on);
CREATE INDEX indexed_gist_sig ON indexed USING gist (tv tsvector_ops (siglen = 100));
CREATE INDEX indexed_spgist ON indexed USING spgist (i);
CREATE INDEX indexed_brin ON indexed USING brin (id :minmax_ops) WITH (pages_per_range = 7);
CREATE INDEX indexed_expression ON indexed (lower(t), (j ->> 'k')) WHERE n > 3 AND t IS NOT NULL;
CREATE UNIQUE INDEX indexed_partial ON indexed (n) INCLUDE (t) WHERE n < 100;
CREATE INDEX indexed_own_class ON indexed (n reverse_int);
CREATE INDEX "; -- TOC entry" ON indexed (plus(n));
ALTER INDEX indexed_expression ALTER COLUMN 2 SET STATISTICS 321;
ALTER TABLE indexed CLUSTER ON indexed_btree;
ALTER TABLE indexed ALTER t SET STATISTICS 777, ALTER n SET (n_distinct = -0.5),
    ALTER j SET STORAGE EXTERNAL;
CREATE STATISTICS indexed_statistics (ndistinct, dependencies, mcv) ON n, t, id FROM indexed;
\if :has_14
CREATE STATISTICS indexed_expression_statistics ON (n % 10), (lower(t)) FROM indexed;
\endif
ALTER STATISTICS indexed_statistics SET STATISTICS 99;
COMMENT ON STATISTICS indexed_statistics IS 'statistics';
COMMENT ON INDEX indexed_gin IS 'an index';
COMMENT ON CONSTRAINT named ON indexed IS 'a constraint';
\set ON_ERROR_STOP off
CREATE UNIQUE INDEX CONCURRENTLY invalid_index ON no_key (a); -- fails, and leaves it invalid
\set ON_ERROR_STOP on

-- Views.
CREATE VIEW simple_view AS SELECT id, n FROM indexed;
ALTER VIEW simple_view ALTER n SET DEFAULT 7;
CREATE VIEW careful WITH (security_barrier :invoker) AS
    SELECT id, t FROM indexed WHERE n > 0;
CREATE VIEW checked AS SELECT id, n FROM simple_view WHERE n > 1 WITH CASCADED CHECK OPTION;
CREATE RECURSIVE VIEW counting (n) AS VALUES (1) UNION ALL SELECT n + 1 FROM counting WHERE n < 9;
CREATE VIEW needs_key AS SELECT i.*, count(*) AS many FROM indexed i GROUP BY i.id;
CREATE VIEW first_loop AS SELECT 1 AS x;
CREATE VIEW second_loop AS SELECT x FROM first_loop;
CREATE OR REPLACE VIEW first_loop AS SELECT 1 AS x WHERE NOT EXISTS (SELECT FROM no_rows);
CREATE MATERIALIZED VIEW mv_base AS SELECT n % 7 AS k, count(*) AS many FROM indexed GROUP BY 1;
CREATE UNIQUE INDEX mv_base_k ON mv_base (k);
CREATE MATERIALIZED VIEW a_mv_on_top WITH (fillfactor = 60) AS SELECT sum(many) AS s FROM mv_base;
CREATE VIEW over_it AS SELECT s FROM a_mv_on_top;
CREATE MATERIALIZED VIEW a_mv_on_view AS SELECT s + 1 AS s FROM over_it;
CREATE MATERIALIZED VIEW mv_empty AS SELECT id FROM indexed WITH NO DATA;
COMMENT ON VIEW simple_view IS 'a view';
COMMENT ON MATERIALIZED VIEW mv_base IS 'a materialized view';
GRANT SELECT (id), UPDATE (n) ON simple_view TO :"reader";

-- Triggers, rules, row security.
CREATE TRIGGER before_each BEFORE INSERT OR UPDATE OF t ON indexed FOR EACH ROW
    WHEN (NEW.n IS NOT NULL) EXECUTE FUNCTION touch('an', 'argument; --');
CREATE TRIGGER switched_off AFTER DELETE ON indexed EXECUTE FUNCTION touch();
CREATE TRIGGER on_replicas BEFORE UPDATE ON indexed FOR EACH ROW EXECUTE FUNCTION touch();
CREATE TRIGGER on_both BEFORE UPDATE ON indexed FOR EACH ROW EXECUTE FUNCTION touch();
CREATE TRIGGER with_rows AFTER UPDATE ON indexed REFERENCING OLD TABLE AS o NEW TABLE AS n
    FOR EACH STATEMENT EXECUTE FUNCTION touch();
CREATE CONSTRAINT TRIGGER at_the_end AFTER INSERT ON indexed DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION touch();
CREATE TRIGGER on_view INSTEAD OF DELETE ON simple_view FOR EACH ROW EXECUTE FUNCTION touch();
CREATE TRIGGER of_partitions BEFORE INSERT ON by_range FOR EACH ROW EXECUTE FUNCTION touch();
ALTER TABLE by_range_1 DISABLE TRIGGER of_partitions;
ALTER TABLE indexed DISABLE TRIGGER switched_off;
ALTER TABLE indexed ENABLE REPLICA TRIGGER on_replicas;
ALTER TABLE indexed ENABLE ALWAYS TRIGGER on_both;
COMMENT ON TRIGGER on_both ON indexed IS 'a trigger';
CREATE RULE quiet AS ON DELETE TO no_rows WHERE OLD.id < 5 DO INSTEAD NOTHING;
CREATE RULE also AS ON INSERT TO no_rows DO ALSO NOTIFY exotic;
ALTER TABLE no_rows DISABLE RULE also;
COMMENT ON RULE quiet ON no_rows IS 'a rule';
CREATE TABLE secured (id int PRIMARY KEY, owner name, note text);
INSERT INTO secured SELECT g, 'nobody', 'n' FROM generate_series(1, 20) g;
ALTER TABLE secured OWNER TO :"owner";
ALTER TABLE secured ENABLE ROW LEVEL SECURITY;
ALTER TABLE secured FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON secured FOR SELECT TO :"reader", :"member" USING (owner = current_user);
CREATE POLICY restricted ON secured AS RESTRICTIVE USING (id > 0) WITH CHECK (id < 1000);
COMMENT ON POLICY own ON secured IS 'a policy';
GRANT SELECT (id, note), UPDATE (note), INSERT (id) ON secured TO :"reader" WITH GRANT OPTION;
GRANT TRUNCATE, REFERENCES, TRIGGER ON secured TO :"member";

-- Text search, foreign data, publications, event triggers.
CREATE TEXT SEARCH DICTIONARY short_words (TEMPLATE = pg_catalog.simple, accept = false);
CREATE TEXT SEARCH CONFIGURATION own_search (COPY = pg_catalog.english);
ALTER TEXT SEARCH CONFIGURATION own_search ALTER MAPPING FOR asciiword WITH short_words, english_stem;
ALTER TEXT SEARCH CONFIGURATION own_search DROP MAPPING FOR email;
CREATE TEXT SEARCH PARSER own_parser (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end,
    LEXTYPES = prsd_lextype);
CREATE TEXT SEARCH TEMPLATE own_template (LEXIZE = dsimple_lexize, INIT = dsimple_init);
COMMENT ON TEXT SEARCH CONFIGURATION own_search IS 'a configuration';
CREATE INDEX indexed_search ON indexed USING gin (to_tsvector('own_search', t));
CREATE FOREIGN DATA WRAPPER own_wrapper OPTIONS (debug 'true');
CREATE SERVER elsewhere TYPE 'x' VERSION '1' FOREIGN DATA WRAPPER postgres_fdw
    OPTIONS (host '192.0.2.1', dbname 'it''s', port '5999');
CREATE USER MAPPING FOR :"reader" SERVER elsewhere OPTIONS (user 'u', password 'a-Password''.3');
CREATE USER MAPPING FOR PUBLIC SERVER elsewhere OPTIONS (user 'nobody');
CREATE FOREIGN TABLE far_away (id int OPTIONS (column_name 'ID') NOT NULL, what text COLLATE plain,
    CHECK (id > 0)) SERVER elsewhere OPTIONS (schema_name 's', table_name 't');
GRANT USAGE ON FOREIGN SERVER elsewhere TO :"member";
COMMENT ON SERVER elsewhere IS 'a server';
COMMENT ON FOREIGN TABLE far_away IS 'a foreign table';
COMMENT ON FOREIGN DATA WRAPPER own_wrapper IS 'a wrapper';
CREATE PUBLICATION users_own FOR TABLE indexed :some_columns, by_hash
    WITH (publish = 'insert, update', publish_via_partition_root = true);
CREATE EVENT TRIGGER watching ON ddl_command_end WHEN TAG IN ('CREATE DOMAIN') EXECUTE FUNCTION watch();
CREATE EVENT TRIGGER not_watching ON sql_drop EXECUTE FUNCTION watch();
ALTER EVENT TRIGGER not_watching DISABLE;
COMMENT ON EVENT TRIGGER watching IS 'an event trigger';
CREATE TRANSFORM FOR hstore LANGUAGE plpgsql (FROM SQL WITH FUNCTION prsd_lextype(internal));

-- Large objects.
SELECT lo_from_bytea(800001, decode(repeat('00ff', 20000), 'hex')), lo_create(800002);
SELECT lo_create(800003), lo_put(800003, 90000, 'after a hole'), lo_put(800003, 50000, '\x0000');
ALTER LARGE OBJECT 800001 OWNER TO :"owner";
GRANT SELECT, UPDATE ON LARGE OBJECT 800001 TO :"reader" WITH GRANT OPTION;
GRANT SELECT ON LARGE OBJECT 800001 TO PUBLIC;
COMMENT ON LARGE OBJECT 800001 IS E'a large object''s\ncomment';

-- Owners.
GRANT SELECT ON indexed TO :"owner";
ALTER TABLE own_values OWNER TO :"member";
ALTER TYPE pair OWNER TO :"owner";
ALTER FUNCTION plus(int) OWNER TO :"owner";
ALTER SEQUENCE cached OWNER TO :"owner";
ALTER VIEW careful OWNER TO :"owner";
ALTER MATERIALIZED VIEW mv_base OWNER TO :"owner";
ALTER SERVER elsewhere OWNER TO :"owner";

-- What came with 17.
\if :has_17
GRANT MAINTAIN ON indexed TO :"reader";
ALTER DEFAULT PRIVILEGES IN SCHEMA exotic GRANT MAINTAIN ON TABLES TO :"member";
CREATE COLLATION built_in (provider = builtin, locale = 'C.UTF-8');
CREATE TABLE numbered_parts (id bigint GENERATED ALWAYS AS IDENTITY, at date)
    PARTITION BY RANGE (at);
CREATE TABLE numbered_part PARTITION OF numbered_parts DEFAULT;
INSERT INTO numbered_parts (at) SELECT '2024-01-01'::date + g FROM generate_series(1, 20) g;
CREATE TABLE long_times (id int PRIMARY KEY, how_long interval, what text COLLATE built_in);
INSERT INTO long_times VALUES (1, 'infinity', 'é'), (2, '-infinity', 'z');
\endif

-- What came with 18.
\if :has_18
CREATE TABLE reckoned (id int, during tstzrange, base int CONSTRAINT named_not_null NOT NULL,
    twice int GENERATED ALWAYS AS (base * 2) VIRTUAL,
    PRIMARY KEY (id, during WITHOUT OVERLAPS),
    CONSTRAINT not_enforced CHECK (base > 5) NOT ENFORCED);
INSERT INTO reckoned SELECT g, tstzrange('2024-01-01', '2024-01-02'), g FROM generate_series(1, 20) g;
CREATE TABLE half_checked (id int PRIMARY KEY, what text);
INSERT INTO half_checked VALUES (1, NULL);
ALTER TABLE half_checked ADD CONSTRAINT from_now_on NOT NULL what NOT VALID;
\endif
