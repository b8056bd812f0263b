-- Parsers and templates: both are functions under one name.
SELECT format('%I.%I', n.nspname, p.prsname), NULL::text,
       jsonb_strip_nulls(jsonb_build_object('functions', jsonb_build_array(
           p.prsstart::regproc::text, p.prstoken::regproc::text, p.prsend::regproc::text,
           p.prsheadline::regproc::text, p.prslextype::regproc::text),
           'comment', obj_description(p.oid, 'pg_ts_parser')))::text
  FROM pg_ts_parser p
  JOIN pg_namespace n ON n.oid = p.prsnamespace
 WHERE n.nspname !~ '^pg_'
   AND n.nspname NOT IN ('information_schema', 'naru_migration')
   AND NOT EXISTS (SELECT FROM pg_depend e
                    WHERE e.classid = 'pg_ts_parser'::regclass AND e.objid = p.oid
                      AND e.deptype = 'e')
UNION ALL
SELECT format('%I.%I (template)', n.nspname, t.tmplname), NULL::text,
       jsonb_strip_nulls(jsonb_build_object('functions', jsonb_build_array(
           t.tmplinit::regproc::text, t.tmpllexize::regproc::text),
           'comment', obj_description(t.oid, 'pg_ts_template')))::text
  FROM pg_ts_template t
  JOIN pg_namespace n ON n.oid = t.tmplnamespace
 WHERE n.nspname !~ '^pg_'
   AND n.nspname NOT IN ('information_schema', 'naru_migration')
   AND NOT EXISTS (SELECT FROM pg_depend e
                    WHERE e.classid = 'pg_ts_template'::regclass AND e.objid = t.oid
                      AND e.deptype = 'e')
