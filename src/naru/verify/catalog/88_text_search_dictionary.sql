SELECT format('%I.%I', n.nspname, d.dictname), NULL::text,
       jsonb_strip_nulls(jsonb_build_object(
           'template', format('%I.%I', tn.nspname, t.tmplname),
           'options', d.dictinitoption,
           'owner', pg_get_userbyid(d.dictowner),
           'comment', obj_description(d.oid, 'pg_ts_dict')))::text
  FROM pg_ts_dict d
  JOIN pg_namespace n ON n.oid = d.dictnamespace
  JOIN pg_ts_template t ON t.oid = d.dicttemplate
  JOIN pg_namespace tn ON tn.oid = t.tmplnamespace
 WHERE n.nspname !~ '^pg_'
   AND n.nspname NOT IN ('information_schema', 'naru_migration')
   AND NOT EXISTS (SELECT FROM pg_depend e
                    WHERE e.classid = 'pg_ts_dict'::regclass AND e.objid = d.oid
                      AND e.deptype = 'e')
