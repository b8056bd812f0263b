SELECT format('%I in %s for %s', pg_get_userbyid(d.defaclrole), coalesce(n.nspname, 'any schema'),
              d.defaclobjtype), NULL::text,
       jsonb_build_object('owner', pg_get_userbyid(d.defaclrole), 'grants',
           (SELECT jsonb_agg(jsonb_build_array(
                       CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee) END,
                       g.privilege_type, g.is_grantable))
              FROM aclexplode(d.defaclacl) AS g))::text
  FROM pg_default_acl d
  LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
 WHERE coalesce(n.nspname, '') <> 'naru_migration'
