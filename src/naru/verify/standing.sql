-- Every table whose rows can be compared: how big it is, what its rows are made of, and how many
-- changes have been counted in it. A partition is counted with its root. A virtual column is
-- computed when it is read, and a foreign partition is elsewhere: nothing tells of their changes.
SELECT format('%I.%I', n.nspname, c.relname), c.oid::int8, c.relkind::text,
       leaves.rows::int8,
       jsonb_build_array(
           c.relkind, leaves.files,
           (SELECT jsonb_agg(jsonb_build_array(a.attnum, a.attname, a.atttypid::int8, a.atttypmod,
                                               a.attisdropped) ORDER BY a.attnum)
              FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0),
           (SELECT clock_timestamp() FROM pg_attribute a
             WHERE a.attrelid = c.oid AND to_jsonb(a) ->> 'attgenerated' = 'v' LIMIT 1))::text,
       leaves.counts::text
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  CROSS JOIN LATERAL (
      SELECT sum(CASE WHEN l.reltuples > 0 THEN l.reltuples
                      ELSE coalesce(pg_relation_size(l.oid), 0)
                           / current_setting('block_size')::int8 * 20 END) AS rows,
             jsonb_agg(jsonb_build_array(l.oid::int8,
                           CASE WHEN l.relkind = 'f' THEN to_jsonb(clock_timestamp())
                                ELSE to_jsonb(pg_relation_filenode(l.oid)::int8) END)
                       ORDER BY l.oid) AS files,
             jsonb_agg(jsonb_build_array(pg_stat_get_tuples_inserted(l.oid),
                                         pg_stat_get_tuples_updated(l.oid),
                                         pg_stat_get_tuples_deleted(l.oid))
                       ORDER BY l.oid) AS counts
        FROM (WITH RECURSIVE tree (leaf) AS (
                  SELECT c.oid
                  UNION ALL
                  SELECT i.inhrelid FROM pg_inherits i JOIN tree ON i.inhparent = tree.leaf
                   WHERE c.relkind = 'p')
              SELECT leaf FROM tree) AS tree
        JOIN pg_class l ON l.oid = tree.leaf AND l.relkind <> 'p') AS leaves
 WHERE c.relkind IN ('r', 'p', 'm')
   AND c.relispopulated
   AND NOT c.relispartition
   AND c.relpersistence <> 't'
   AND n.nspname !~ '^pg_'
   AND n.nspname NOT IN ('information_schema', 'naru_migration')
   AND NOT EXISTS (SELECT FROM pg_depend e
                    WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid
                      AND e.deptype = 'e')
