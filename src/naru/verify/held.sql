-- What the transactions of some sessions hold back: when each began that has a snapshot, how many
-- transactions have begun since the oldest that one of them may see as running, and the rows
-- that were updated or deleted in this database so far.
SELECT coalesce(array_agg(extract(epoch FROM xact_start)::float8)
                    FILTER (WHERE backend_xmin IS NOT NULL), '{}'),
       coalesce(max(age(backend_xmin)), 0)::int8,
       extract(epoch FROM clock_timestamp())::float8,
       (SELECT tup_updated + tup_deleted FROM pg_stat_database
         WHERE datname = current_database())::int8
  FROM pg_stat_activity
 WHERE pid = ANY(%s)
