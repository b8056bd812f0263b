SELECT format('%I', w.fdwname), NULL::text,
       jsonb_strip_nulls(jsonb_build_object(
           'handler', nullif(w.fdwhandler, 0)::regproc::text,
           'validator', nullif(w.fdwvalidator, 0)::regproc::text,
           'options', (SELECT jsonb_agg(split_part(o, '=', 1) || ' (hidden ' || hashtext(o) || ')'
                                        ORDER BY o COLLATE "C")
                         FROM unnest(w.fdwoptions) AS o
                        WHERE split_part(o, '=', 1) !~* 'pass|secret|token|key'),
           'owner', pg_get_userbyid(w.fdwowner),
           'grants', (SELECT jsonb_agg(jsonb_build_array(
                          CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee) END,
                          g.privilege_type, g.is_grantable))
                        FROM aclexplode(coalesce(w.fdwacl, acldefault('F', w.fdwowner))) AS g),
           'comment', obj_description(w.oid, 'pg_foreign_data_wrapper')))::text
  FROM pg_foreign_data_wrapper w
 WHERE NOT EXISTS (SELECT FROM pg_depend e
                    WHERE e.classid = 'pg_foreign_data_wrapper'::regclass AND e.objid = w.oid
                      AND e.deptype = 'e')
