SELECT format('FOR %s LANGUAGE %I', format_type(t.trftype, NULL), l.lanname), NULL::text,
       jsonb_strip_nulls(jsonb_build_object(
           'from SQL', nullif(t.trffromsql, 0)::regprocedure::text,
           'to SQL', nullif(t.trftosql, 0)::regprocedure::text,
           'comment', obj_description(t.oid, 'pg_transform')))::text
  FROM pg_transform t
  JOIN pg_language l ON l.oid = t.trflang
 WHERE NOT EXISTS (SELECT FROM pg_depend e
                    WHERE e.classid = 'pg_transform'::regclass AND e.objid = t.oid
                      AND e.deptype = 'e')
