-- Before 15 a partition's copy of its parent's trigger counts as internal, as those of keys do.
SELECT format('%I.%I.%I', n.nspname, c.relname, t.tgname), format('%I.%I', n.nspname, c.relname),
       jsonb_strip_nulls(jsonb_build_object(
           'definition', pg_get_triggerdef(t.oid),
           'enabled', t.tgenabled,
           'comment', obj_description(t.oid, 'pg_trigger')))::text
  FROM pg_trigger t
  JOIN pg_class c ON c.oid = t.tgrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE (NOT t.tgisinternal
        OR t.tgparentid <> 0 AND NOT EXISTS (SELECT FROM pg_constraint k
                                              WHERE k.oid = t.tgconstraint AND k.contype <> 't'))
   AND c.relpersistence <> 't'
   AND n.nspname !~ '^pg_'
   AND n.nspname NOT IN ('information_schema', 'naru_migration')
   AND NOT EXISTS (SELECT FROM pg_depend e
                    WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid
                      AND e.deptype = 'e')
