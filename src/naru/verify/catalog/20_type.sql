SELECT format('%I.%I', n.nspname, t.typname), NULL::text,
       jsonb_strip_nulls(jsonb_build_object(
           'kind', t.typtype,
           'labels', (SELECT jsonb_agg(l.enumlabel ORDER BY l.enumsortorder)
                        FROM pg_enum l WHERE l.enumtypid = t.oid),
           'attributes', (SELECT jsonb_agg(format('%I %s', a.attname,
                                                  format_type(a.atttypid, a.atttypmod))
                                           ORDER BY a.attnum)
                            FROM pg_attribute a
                           WHERE a.attrelid = t.typrelid AND a.attnum > 0
                             AND NOT a.attisdropped),
           'base', CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END,
           'not null', CASE WHEN t.typtype = 'd' THEN t.typnotnull END,
           'default', CASE WHEN t.typtype = 'd' THEN t.typdefault END,
           'collation', CASE WHEN t.typtype = 'd' THEN nullif(t.typcollation, 0)::regcollation::text END,
           'constraints', (SELECT jsonb_object_agg(k.conname, pg_get_constraintdef(k.oid))
                             FROM pg_constraint k
                            WHERE k.contypid = t.oid AND k.contype = 'c'),
           'range', (SELECT jsonb_build_object(
                                'subtype', format_type(r.rngsubtype, NULL),
                                'collation', nullif(r.rngcollation, 0)::regcollation::text,
                                'canonical', nullif(r.rngcanonical, 0)::regproc::text,
                                'difference', nullif(r.rngsubdiff, 0)::regproc::text)
                       FROM pg_range r WHERE r.rngtypid = t.oid),
           'functions', CASE WHEN t.typtype = 'b' THEN jsonb_build_array(
                            t.typinput::regproc::text, t.typoutput::regproc::text,
                            t.typlen, t.typalign, t.typstorage) END,
           'owner', pg_get_userbyid(t.typowner),
           'grants', (SELECT jsonb_agg(jsonb_build_array(
                          CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee) END,
                          g.privilege_type, g.is_grantable))
                        FROM aclexplode(coalesce(t.typacl, acldefault('T', t.typowner))) AS g),
           'comment', obj_description(t.oid, 'pg_type')))::text
  FROM pg_type t
  JOIN pg_namespace n ON n.oid = t.typnamespace
  LEFT JOIN pg_class c ON c.oid = t.typrelid
 WHERE (t.typtype IN ('e', 'd', 'r') OR (t.typtype = 'c' AND c.relkind = 'c')
        OR (t.typtype = 'b' AND t.typelem = 0))
   AND n.nspname !~ '^pg_'
   AND n.nspname NOT IN ('information_schema', 'naru_migration')
   AND NOT EXISTS (SELECT FROM pg_depend e
                    WHERE e.classid = 'pg_type'::regclass AND e.objid = t.oid
                      AND e.deptype = 'e')
