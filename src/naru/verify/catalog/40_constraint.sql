-- NOT NULL is an attribute of the column on every version, also where the catalog has it here.
-- What a foreign key has for each partition that it refers to is part of that key, and its name
-- is the server's own choice.
SELECT format('%I.%I.%I', n.nspname, c.relname, k.conname), format('%I.%I', n.nspname, c.relname),
       jsonb_strip_nulls(jsonb_build_object(
           'kind', k.contype,
           'definition', pg_get_constraintdef(k.oid),
           'validated', k.convalidated,
           'enforced', coalesce(to_jsonb(k) ->> 'conenforced', 'true'),
           'deferrable', k.condeferrable,
           'deferred', k.condeferred,
           'local', k.conislocal,
           'comment', obj_description(k.oid, 'pg_constraint')))::text
  FROM pg_constraint k
  JOIN pg_class c ON c.oid = k.conrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE k.contype IN ('c', 'f', 'p', 'u', 'x')
   AND NOT EXISTS (SELECT FROM pg_constraint whole
                    WHERE whole.oid = k.conparentid AND k.contype = 'f'
                      AND whole.conrelid = k.conrelid)
   AND c.relpersistence <> 't'
   AND n.nspname !~ '^pg_'
   AND n.nspname NOT IN ('information_schema', 'naru_migration')
   AND NOT EXISTS (SELECT FROM pg_depend e
                    WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid
                      AND e.deptype = 'e')
