SELECT format('%I', n.nspname), NULL::text,
       jsonb_strip_nulls(jsonb_build_object(
           'owner', pg_get_userbyid(n.nspowner),
           'grants', (SELECT jsonb_agg(jsonb_build_array(
                          CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee) END,
                          g.privilege_type, g.is_grantable))
                        FROM aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) AS g),
           'comment', obj_description(n.oid, 'pg_namespace')))::text
  FROM pg_namespace n
 WHERE n.nspname !~ '^pg_'
   AND n.nspname NOT IN ('information_schema', 'naru_migration')
   AND NOT EXISTS (SELECT FROM pg_depend e
                    WHERE e.classid = 'pg_namespace'::regclass AND e.objid = n.oid
                      AND e.deptype = 'e')
