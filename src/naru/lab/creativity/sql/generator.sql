-- What the content is made of: pure functions of the seed and a row's number.
-- The schema gen holds gen.seed() and one function per table that gives its size; it is dropped
-- when the database is complete. The planner inlines all of these, so they cost no calls.

-- The rows that this session makes: SET gen.first = …; SET gen.last = …;
CREATE FUNCTION gen.first() RETURNS bigint STABLE LANGUAGE sql
    AS $$ SELECT current_setting('gen.first')::bigint $$;
CREATE FUNCTION gen.last() RETURNS bigint STABLE LANGUAGE sql
    AS $$ SELECT current_setting('gen.last')::bigint $$;

-- 63 bits that depend on the seed, the row and the purpose.
CREATE FUNCTION gen.h(n bigint, purpose bigint) RETURNS bigint IMMUTABLE LANGUAGE sql
    AS $$ SELECT hashint8extended(n, gen.seed() * 1000 + purpose) & 9223372036854775807 $$;

-- One of 1 … size, all alike.
CREATE FUNCTION gen.even(h bigint, size bigint) RETURNS bigint IMMUTABLE LANGUAGE sql
    AS $$ SELECT 1 + (h >> 3) % size $$;

-- From 0 up to 1.
CREATE FUNCTION gen.unit(h bigint) RETURNS float8 IMMUTABLE LANGUAGE sql
    AS $$ SELECT ((h >> 13) & 1073741823) / 1073741824.0::float8 $$;

-- One of 1 … size, small numbers far more often: a tenth of them gets almost half.
CREATE FUNCTION gen.skewed(h bigint, size bigint) RETURNS bigint IMMUTABLE LANGUAGE sql
    AS $$ SELECT 1 + floor(gen.unit(h) * gen.unit(h) * gen.unit(h) * size)::bigint $$;

CREATE FUNCTION gen.pick(words text[], h bigint) RETURNS text IMMUTABLE LANGUAGE sql
    AS $$ SELECT words[1 + (h % cardinality(words))::int] $$;

-- The content's own present; nothing depends on the clock.
CREATE FUNCTION gen.present() RETURNS timestamptz IMMUTABLE LANGUAGE sql
    AS $$ SELECT timestamptz '2026-06-30 15:00:00+00' $$;

-- A moment in the last `days` days, to the microsecond.
CREATE FUNCTION gen.moment(h bigint, days bigint) RETURNS timestamptz STABLE LANGUAGE sql
    AS $$ SELECT gen.present() - interval '1 microsecond' * (h % (days * 86400000000)) $$;

-- A moment after `start`, at most `days` days later, never after the present.
CREATE FUNCTION gen.later(start timestamptz, h bigint, days bigint)
    RETURNS timestamptz STABLE LANGUAGE sql
    AS $$ SELECT least(gen.present(), start + interval '1 microsecond' * (h % (days * 86400000000))) $$;

-- `size` bytes that do not compress.
CREATE FUNCTION gen.bytes(n bigint, size bigint) RETURNS bytea STABLE LANGUAGE sql
    AS $$ SELECT substring(string_agg(
              sha512(int8send(gen.h(n, 900)) || int8send(part)), '' ORDER BY part) FROM 1 FOR size::int)
          FROM generate_series(0, size / 64) AS part $$;

CREATE FUNCTION gen.product_price(product bigint) RETURNS integer IMMUTABLE LANGUAGE sql
    AS $$ SELECT (16800 + 200 * (gen.h(product, 901) % 127))::int $$;
