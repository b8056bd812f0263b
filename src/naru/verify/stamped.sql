-- The tables with a column updated_at, those written most first: schema, name, and whether its
-- latest value is found cheaply (by an index that begins with it, or in a small table).
SELECT n.nspname, c.relname,
       c.relpages < 10000 OR EXISTS (
           SELECT FROM pg_index i
            WHERE i.indrelid = c.oid AND i.indisvalid AND i.indkey[0] = a.attnum)
  FROM pg_attribute a
  JOIN pg_class c ON c.oid = a.attrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_stat_user_tables t ON t.relid = c.oid
 WHERE a.attname = 'updated_at' AND NOT a.attisdropped
   AND a.atttypid IN ('timestamptz'::regtype, 'timestamp'::regtype)
   AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
   AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'naru_migration')
   AND has_table_privilege(c.oid, 'SELECT')
 ORDER BY coalesce(t.n_tup_ins + t.n_tup_upd, 0) DESC, 1, 2
 LIMIT 50
