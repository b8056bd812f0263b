-- The position is among the columns that are left: dropped ones differ after a dump.
SELECT format('%I.%I.%I', n.nspname, c.relname, a.attname), format('%I.%I', n.nspname, c.relname),
       jsonb_strip_nulls(jsonb_build_object(
           'position', (SELECT count(*) FROM pg_attribute b
                         WHERE b.attrelid = a.attrelid AND b.attnum BETWEEN 1 AND a.attnum
                           AND NOT b.attisdropped),
           'type', format_type(a.atttypid, a.atttypmod),
           'not null', a.attnotnull,
           'collation', CASE WHEN a.attcollation <> t.typcollation
                             THEN a.attcollation::regcollation::text END,
           'default', pg_get_expr(d.adbin, d.adrelid),
           'identity', nullif(a.attidentity, ''),
           'generated', nullif(to_jsonb(a) ->> 'attgenerated', ''),
           'storage', CASE WHEN a.attstorage <> t.typstorage THEN a.attstorage END,
           'compression', nullif(to_jsonb(a) ->> 'attcompression', ''),
           'statistics target', nullif(coalesce(a.attstattarget, -1), -1),
           'options', to_jsonb(a.attoptions),
           'grants', (SELECT jsonb_agg(jsonb_build_array(
                          CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee) END,
                          g.privilege_type, g.is_grantable))
                        FROM aclexplode(a.attacl) AS g),
           'comment', col_description(c.oid, a.attnum)))::text
  FROM pg_attribute a
  JOIN pg_class c ON c.oid = a.attrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_type t ON t.oid = a.atttypid
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
 WHERE a.attnum > 0 AND NOT a.attisdropped
   AND c.relkind IN ('r', 'p', 'f', 'v', 'm')
   AND c.relpersistence <> 't'
   AND n.nspname !~ '^pg_'
   AND n.nspname NOT IN ('information_schema', 'naru_migration')
   AND NOT EXISTS (SELECT FROM pg_depend e
                    WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid
                      AND e.deptype = 'e')
