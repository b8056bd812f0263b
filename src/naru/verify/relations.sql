-- Tables (and materialized views) whose rows can be compared, with their columns and the keys
-- that can name a row. A partition is compared through its root.
SELECT format('%I.%I', n.nspname, c.relname),
       n.nspname, c.relname, c.oid::int8, c.relkind::text,
       (SELECT coalesce(jsonb_agg(jsonb_build_array(a.attname, a.atttypid::int8,
                                                    format_type(a.atttypid, -1), a.attnotnull AND a.attnum <> ALL (loose.columns))
                                  ORDER BY a.attnum), '[]')
          FROM pg_attribute a
         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
       (SELECT coalesce(jsonb_agg(k.names ORDER BY k.rank, k.names::text COLLATE "C"), '[]')
          FROM (SELECT NOT i.indisprimary AS rank,
                       jsonb_agg(a.attname ORDER BY p.place) AS names
                  FROM pg_index i
                  CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS p (attnum, place)
                  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = p.attnum
                 WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indislive
                   AND i.indpred IS NULL AND i.indexprs IS NULL AND p.place <= coalesce((to_jsonb(i) ->> 'indnkeyatts')::int, i.indnatts)
                 GROUP BY i.indexrelid, i.indisprimary
                HAVING bool_and(a.attnotnull AND a.attnum <> ALL (loose.columns))) AS k),
       (SELECT coalesce(jsonb_agg(jsonb_build_array(
                   ln.nspname, l.relname,
                   CASE WHEN l.relkind IN ('r', 'm') THEN
                        coalesce(pg_relation_size(l.oid), 0)
                        / current_setting('block_size')::int8 END,
                   l.reltuples, coalesce(pg_table_size(l.oid), 0))
                   ORDER BY ln.nspname, l.relname), '[]')
          FROM (WITH RECURSIVE tree (leaf) AS (
                    SELECT c.oid
                    UNION ALL
                    SELECT i.inhrelid FROM pg_inherits i JOIN tree ON i.inhparent = tree.leaf
                     WHERE c.relkind = 'p')
                SELECT leaf FROM tree) AS leaves
          JOIN pg_class l ON l.oid = leaves.leaf AND l.relkind <> 'p'
          JOIN pg_namespace ln ON ln.oid = l.relnamespace)
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  -- Since PostgreSQL 18 a column may be NOT NULL though NULLs are left in it.
  CROSS JOIN LATERAL (SELECT ARRAY(SELECT v.conkey[1] FROM pg_constraint v
                                    WHERE v.conrelid = c.oid AND v.contype = 'n'
                                      AND NOT v.convalidated)) AS loose (columns)
 WHERE c.relkind IN ('r', 'p', 'm')
   AND c.relispopulated
   AND NOT c.relispartition
   AND c.relpersistence <> 't'
   AND n.nspname !~ '^pg_'
   AND n.nspname NOT IN ('information_schema', 'naru_migration')
   AND NOT EXISTS (SELECT FROM pg_depend e
                    WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid
                      AND e.deptype = 'e')
 ORDER BY convert_to(format('%I.%I', n.nspname, c.relname), 'UTF8')
