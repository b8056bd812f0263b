SELECT format('%s', o.oid::regoperator), NULL::text,
       jsonb_strip_nulls(jsonb_build_object(
           'function', o.oprcode::regproc::text,
           'result', format_type(o.oprresult, NULL),
           'commutator', nullif(o.oprcom, 0)::regoperator::text,
           'negator', nullif(o.oprnegate, 0)::regoperator::text,
           'merges', o.oprcanmerge,
           'hashes', o.oprcanhash,
           'restriction', nullif(o.oprrest, 0)::regproc::text,
           'join', nullif(o.oprjoin, 0)::regproc::text,
           'owner', pg_get_userbyid(o.oprowner),
           'comment', obj_description(o.oid, 'pg_operator')))::text
  FROM pg_operator o
  JOIN pg_namespace n ON n.oid = o.oprnamespace
 WHERE n.nspname !~ '^pg_'
   AND n.nspname NOT IN ('information_schema', 'naru_migration')
   AND NOT EXISTS (SELECT FROM pg_depend e
                    WHERE e.classid = 'pg_operator'::regclass AND e.objid = o.oid
                      AND e.deptype = 'e')
