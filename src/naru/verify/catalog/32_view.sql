SELECT format('%I.%I', n.nspname, c.relname), format('%I.%I', n.nspname, c.relname),
       jsonb_strip_nulls(jsonb_build_object(
           'kind', CASE c.relkind WHEN 'v' THEN 'view' ELSE 'materialized view' END,
           'query', pg_get_viewdef(c.oid),
           'tablespace', (SELECT s.spcname FROM pg_tablespace s WHERE s.oid = c.reltablespace),
           'access method', CASE WHEN c.relkind = 'm' THEN
                                (SELECT nullif(m.amname, 'heap') FROM pg_am m WHERE m.oid = c.relam) END,
           'options', (SELECT jsonb_agg(o ORDER BY o COLLATE "C") FROM unnest(c.reloptions) AS o),
           'populated', c.relispopulated,
           'owner', pg_get_userbyid(c.relowner),
           'grants', (SELECT jsonb_agg(jsonb_build_array(
                          CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee) END,
                          g.privilege_type, g.is_grantable))
                        FROM aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) AS g),
           'comment', obj_description(c.oid, 'pg_class')))::text
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('v', 'm')
   AND c.relpersistence <> 't'
   AND n.nspname !~ '^pg_'
   AND n.nspname NOT IN ('information_schema', 'naru_migration')
   AND NOT EXISTS (SELECT FROM pg_depend e
                    WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid
                      AND e.deptype = 'e')
