SELECT format('%I', a.amname), NULL::text,
       jsonb_strip_nulls(jsonb_build_object(
           'type', CASE a.amtype WHEN 't' THEN 'TABLE' ELSE 'INDEX' END,
           'handler', a.amhandler::regproc::text,
           'comment', obj_description(a.oid, 'pg_am')))::text
  FROM pg_am a
 WHERE a.oid >= 16384
   AND NOT EXISTS (SELECT FROM pg_depend e
                    WHERE e.classid = 'pg_am'::regclass AND e.objid = a.oid
                      AND e.deptype = 'e')
