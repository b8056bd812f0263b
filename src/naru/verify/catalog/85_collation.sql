SELECT format('%I.%I', n.nspname, c.collname), NULL::text,
       jsonb_strip_nulls(jsonb_build_object(
           'provider', c.collprovider,
           'deterministic', coalesce(to_jsonb(c) ->> 'collisdeterministic', 'true'),
           'collate', c.collcollate,
           'character type', c.collctype,
           'locale', coalesce(to_jsonb(c) ->> 'colllocale', to_jsonb(c) ->> 'colliculocale'),
           'rules', to_jsonb(c) ->> 'collicurules',
           'owner', pg_get_userbyid(c.collowner),
           'comment', obj_description(c.oid, 'pg_collation')))::text
  FROM pg_collation c
  JOIN pg_namespace n ON n.oid = c.collnamespace
 WHERE n.nspname !~ '^pg_'
   AND n.nspname NOT IN ('information_schema', 'naru_migration')
   AND NOT EXISTS (SELECT FROM pg_depend e
                    WHERE e.classid = 'pg_collation'::regclass AND e.objid = c.oid
                      AND e.deptype = 'e')
