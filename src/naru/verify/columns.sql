-- Columns of everything that has some, with the types that rules look at: that of a domain is its
-- base. A relation without any column has one row.
SELECT format('%I.%I', n.nspname, c.relname), coalesce(a.attname, ''),
       coalesce((WITH RECURSIVE base AS (
                     SELECT t.oid, t.typname, t.typtype, t.typbasetype
                       FROM pg_type t WHERE t.oid = a.atttypid
                     UNION ALL
                     SELECT t.oid, t.typname, t.typtype, t.typbasetype
                       FROM pg_type t JOIN base ON base.typtype = 'd' AND t.oid = base.typbasetype)
                 SELECT typname FROM base WHERE typtype <> 'd'), '')
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE c.relkind IN ('r', 'p', 'm', 'v', 'f')
   AND c.relpersistence <> 't'
   AND n.nspname !~ '^pg_'
   AND n.nspname NOT IN ('information_schema', 'naru_migration')
   AND NOT EXISTS (SELECT FROM pg_depend e
                    WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid
                      AND e.deptype = 'e')
