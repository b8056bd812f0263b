SELECT format('%I.%I', n.nspname, s.stxname), format('%I.%I', tn.nspname, c.relname),
       jsonb_strip_nulls(jsonb_build_object(
           'definition', pg_get_statisticsobjdef(s.oid),
           'target', nullif(coalesce((to_jsonb(s) ->> 'stxstattarget')::int, -1), -1),
           'owner', pg_get_userbyid(s.stxowner),
           'comment', obj_description(s.oid, 'pg_statistic_ext')))::text
  FROM pg_statistic_ext s
  JOIN pg_namespace n ON n.oid = s.stxnamespace
  JOIN pg_class c ON c.oid = s.stxrelid
  JOIN pg_namespace tn ON tn.oid = c.relnamespace
 WHERE n.nspname !~ '^pg_'
   AND n.nspname NOT IN ('information_schema', 'naru_migration')
   AND NOT EXISTS (SELECT FROM pg_depend e
                    WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid
                      AND e.deptype = 'e')
