-- Options hold addresses, and may hold secrets: their values are compared and not shown.
SELECT format('%I', s.srvname), NULL::text,
       jsonb_strip_nulls(jsonb_build_object(
           'wrapper', w.fdwname,
           'type', s.srvtype,
           'version', s.srvversion,
           'options', (SELECT jsonb_agg(split_part(o, '=', 1) || ' (hidden ' || hashtext(o) || ')'
                                        ORDER BY o COLLATE "C")
                         FROM unnest(s.srvoptions) AS o
                        WHERE split_part(o, '=', 1) !~* 'pass|secret|token|key'),
           'owner', pg_get_userbyid(s.srvowner),
           'grants', (SELECT jsonb_agg(jsonb_build_array(
                          CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee) END,
                          g.privilege_type, g.is_grantable))
                        FROM aclexplode(coalesce(s.srvacl, acldefault('S', s.srvowner))) AS g),
           'comment', obj_description(s.oid, 'pg_foreign_server')))::text
  FROM pg_foreign_server s
  JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw
 WHERE NOT EXISTS (SELECT FROM pg_depend e
                    WHERE e.classid = 'pg_foreign_server'::regclass AND e.objid = s.oid
                      AND e.deptype = 'e')
