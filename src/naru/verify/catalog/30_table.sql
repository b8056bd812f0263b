SELECT format('%I.%I', n.nspname, c.relname), format('%I.%I', n.nspname, c.relname),
       jsonb_strip_nulls(jsonb_build_object(
           'kind', CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned table'
                                  WHEN 'f' THEN 'foreign table' END,
           'persistence', c.relpersistence,
           'access method', (SELECT nullif(m.amname, 'heap') FROM pg_am m WHERE m.oid = c.relam),
           'tablespace', (SELECT s.spcname FROM pg_tablespace s WHERE s.oid = c.reltablespace),
           'options', (SELECT jsonb_agg(o ORDER BY o COLLATE "C") FROM unnest(c.reloptions) AS o),
           'toast options', (SELECT jsonb_agg(o ORDER BY o COLLATE "C")
                               FROM pg_class t, unnest(t.reloptions) AS o
                              WHERE t.oid = c.reltoastrelid),
           'replica identity', CASE WHEN c.relkind IN ('r', 'p') THEN c.relreplident END,
           'row security', c.relrowsecurity,
           'row security forced', c.relforcerowsecurity,
           'partitioned by', pg_get_partkeydef(c.oid),
           'partition bound', pg_get_expr(c.relpartbound, c.oid),
           'inherits', (SELECT jsonb_agg(i.inhparent::regclass::text ORDER BY i.inhseqno)
                          FROM pg_inherits i WHERE i.inhrelid = c.oid),
           'of type', CASE WHEN c.reloftype <> 0 THEN format_type(c.reloftype, NULL) END,
           'foreign server', (SELECT s.srvname FROM pg_foreign_table f
                                JOIN pg_foreign_server s ON s.oid = f.ftserver
                               WHERE f.ftrelid = c.oid),
           'foreign options', (SELECT jsonb_agg(split_part(o, '=', 1)
                                                || ' (hidden ' || hashtext(o) || ')'
                                                ORDER BY o COLLATE "C")
                                 FROM pg_foreign_table f, unnest(f.ftoptions) AS o
                                WHERE f.ftrelid = c.oid
                                  AND split_part(o, '=', 1) !~* 'pass|secret|token|key'),
           'owner', pg_get_userbyid(c.relowner),
           'grants', (SELECT jsonb_agg(jsonb_build_array(
                          CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee) END,
                          g.privilege_type, g.is_grantable))
                        FROM aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) AS g),
           'comment', obj_description(c.oid, 'pg_class')))::text
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'f')
   AND c.relpersistence <> 't'
   AND n.nspname !~ '^pg_'
   AND n.nspname NOT IN ('information_schema', 'naru_migration')
   AND NOT EXISTS (SELECT FROM pg_depend e
                    WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid
                      AND e.deptype = 'e')
