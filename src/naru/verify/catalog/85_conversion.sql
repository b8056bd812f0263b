SELECT format('%I.%I', n.nspname, c.conname), NULL::text,
       jsonb_strip_nulls(jsonb_build_object(
           'from', pg_encoding_to_char(c.conforencoding),
           'to', pg_encoding_to_char(c.contoencoding),
           'function', c.conproc::regproc::text,
           'default', c.condefault,
           'owner', pg_get_userbyid(c.conowner),
           'comment', obj_description(c.oid, 'pg_conversion')))::text
  FROM pg_conversion c
  JOIN pg_namespace n ON n.oid = c.connamespace
 WHERE n.nspname !~ '^pg_'
   AND n.nspname NOT IN ('information_schema', 'naru_migration')
   AND NOT EXISTS (SELECT FROM pg_depend e
                    WHERE e.classid = 'pg_conversion'::regclass AND e.objid = c.oid
                      AND e.deptype = 'e')
