SELECT format('%s AS %s', format_type(c.castsource, NULL), format_type(c.casttarget, NULL)),
       NULL::text,
       jsonb_strip_nulls(jsonb_build_object(
           'function', nullif(c.castfunc, 0)::regprocedure::text,
           'context', c.castcontext,
           'method', c.castmethod,
           'comment', obj_description(c.oid, 'pg_cast')))::text
  FROM pg_cast c
 WHERE c.oid >= 16384
   AND NOT EXISTS (SELECT FROM pg_depend e
                    WHERE e.classid = 'pg_cast'::regclass AND e.objid = c.oid
                      AND e.deptype IN ('e', 'i'))
