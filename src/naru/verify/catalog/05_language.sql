SELECT format('%I', l.lanname), NULL::text,
       jsonb_strip_nulls(jsonb_build_object(
           'trusted', l.lanpltrusted,
           'handler', nullif(l.lanplcallfoid, 0)::regproc::text,
           'inline handler', nullif(l.laninline, 0)::regproc::text,
           'validator', nullif(l.lanvalidator, 0)::regproc::text,
           'owner', pg_get_userbyid(l.lanowner),
           'grants', (SELECT jsonb_agg(jsonb_build_array(
                          CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee) END,
                          g.privilege_type, g.is_grantable))
                        FROM aclexplode(coalesce(l.lanacl, acldefault('l', l.lanowner))) AS g),
           'comment', obj_description(l.oid, 'pg_language')))::text
  FROM pg_language l
 WHERE l.oid >= 16384
   AND NOT EXISTS (SELECT FROM pg_depend e
                    WHERE e.classid = 'pg_language'::regclass AND e.objid = l.oid
                      AND e.deptype = 'e')
