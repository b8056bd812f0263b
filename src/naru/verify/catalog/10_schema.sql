-- Until version 14 initdb gives public to the first superuser, from 15 on to whoever owns the
-- database; both say that nobody has chosen an owner.
SELECT format('%I', n.nspname), NULL::text,
       jsonb_strip_nulls(jsonb_build_object(
           'owner', o.name,
           'grants', (SELECT jsonb_agg(jsonb_build_array(
                          CASE g.grantee WHEN 0 THEN 'PUBLIC' WHEN n.nspowner THEN o.name
                               ELSE pg_get_userbyid(g.grantee) END,
                          g.privilege_type, g.is_grantable))
                        FROM aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) AS g),
           'comment', obj_description(n.oid, 'pg_namespace')))::text
  FROM pg_namespace n
 CROSS JOIN LATERAL (SELECT CASE WHEN n.nspname = 'public' AND n.nspowner = 10
                                 THEN 'pg_database_owner'
                                 ELSE pg_get_userbyid(n.nspowner)::text END) AS o (name)
 WHERE n.nspname !~ '^pg_'
   AND n.nspname NOT IN ('information_schema', 'naru_migration')
   AND NOT EXISTS (SELECT FROM pg_depend e
                    WHERE e.classid = 'pg_namespace'::regclass AND e.objid = n.oid
                      AND e.deptype = 'e')
