SELECT format('%I.%I for %s', n.nspname, o.opcname, a.amname), NULL::text,
       jsonb_strip_nulls(jsonb_build_object(
           'type', format_type(o.opcintype, NULL),
           'default', o.opcdefault,
           'storage', CASE WHEN o.opckeytype <> 0 THEN format_type(o.opckeytype, NULL) END,
           'family', format('%I.%I', fn.nspname, f.opfname),
           'owner', pg_get_userbyid(o.opcowner),
           'comment', obj_description(o.oid, 'pg_opclass')))::text
  FROM pg_opclass o
  JOIN pg_am a ON a.oid = o.opcmethod
  JOIN pg_namespace n ON n.oid = o.opcnamespace
  JOIN pg_opfamily f ON f.oid = o.opcfamily
  JOIN pg_namespace fn ON fn.oid = f.opfnamespace
 WHERE n.nspname !~ '^pg_'
   AND n.nspname NOT IN ('information_schema', 'naru_migration')
   AND NOT EXISTS (SELECT FROM pg_depend e
                    WHERE e.classid = 'pg_opclass'::regclass AND e.objid = o.oid
                      AND e.deptype = 'e')
