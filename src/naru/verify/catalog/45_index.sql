SELECT format('%I.%I', n.nspname, i.relname), format('%I.%I', tn.nspname, c.relname),
       jsonb_strip_nulls(jsonb_build_object(
           'definition', pg_get_indexdef(x.indexrelid),
           'primary', x.indisprimary,
           'valid', x.indisvalid,
           'immediate', x.indimmediate,
           'replica identity', x.indisreplident,
           'clustered', x.indisclustered,
           'tablespace', (SELECT s.spcname FROM pg_tablespace s WHERE s.oid = i.reltablespace),
           'statistics targets', (SELECT jsonb_object_agg(a.attnum, a.attstattarget)
                                    FROM pg_attribute a
                                   WHERE a.attrelid = i.oid AND coalesce(a.attstattarget, -1) >= 0),
           'comment', obj_description(i.oid, 'pg_class')))::text
  FROM pg_index x
  JOIN pg_class i ON i.oid = x.indexrelid
  JOIN pg_namespace n ON n.oid = i.relnamespace
  JOIN pg_class c ON c.oid = x.indrelid
  JOIN pg_namespace tn ON tn.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'm')
   AND c.relpersistence <> 't'
   -- One that failed to be built serves nobody, and no dump carries it.
   AND (x.indisvalid OR i.relkind = 'I')
   AND n.nspname !~ '^pg_'
   AND n.nspname NOT IN ('information_schema', 'naru_migration')
   AND NOT EXISTS (SELECT FROM pg_depend e
                    WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid
                      AND e.deptype = 'e')
