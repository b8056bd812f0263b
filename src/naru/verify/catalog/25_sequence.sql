SELECT format('%I.%I', n.nspname, c.relname), NULL::text,
       jsonb_strip_nulls(jsonb_build_object(
           'type', format_type(s.seqtypid, NULL),
           'start', s.seqstart, 'increment', s.seqincrement, 'minimum', s.seqmin,
           'maximum', s.seqmax, 'cache', s.seqcache, 'cycle', s.seqcycle,
           'persistence', c.relpersistence,
           'owned by', (SELECT format('%s.%I (%s)', d.refobjid::regclass, a.attname, d.deptype)
                          FROM pg_depend d
                          JOIN pg_attribute a ON a.attrelid = d.refobjid
                                             AND a.attnum = d.refobjsubid
                         WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                           AND d.refclassid = 'pg_class'::regclass
                           AND d.deptype IN ('a', 'i')),
           'owner', pg_get_userbyid(c.relowner),
           'grants', (SELECT jsonb_agg(jsonb_build_array(
                          CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee) END,
                          g.privilege_type, g.is_grantable))
                        FROM aclexplode(coalesce(c.relacl, acldefault('s', c.relowner))) AS g),
           'comment', obj_description(c.oid, 'pg_class')))::text
  FROM pg_sequence s
  JOIN pg_class c ON c.oid = s.seqrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relpersistence <> 't'
   AND n.nspname NOT IN ('information_schema', 'naru_migration')
   AND NOT EXISTS (SELECT FROM pg_depend e
                    WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid
                      AND e.deptype = 'e')
