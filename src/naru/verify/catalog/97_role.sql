-- Roles that own something here or may do something. Passwords are not to be read by all.
SELECT format('%I', r.rolname), NULL::text,
       jsonb_strip_nulls(jsonb_build_object(
           'superuser', r.rolsuper,
           'inherits', r.rolinherit,
           'creates roles', r.rolcreaterole,
           'creates databases', r.rolcreatedb,
           'logs in', r.rolcanlogin,
           'replication', r.rolreplication,
           'bypasses row security', r.rolbypassrls,
           'connection limit', r.rolconnlimit,
           'valid until', (r.rolvaliduntil AT TIME ZONE 'UTC')::text,
           'member of', (SELECT jsonb_agg(DISTINCT g.rolname::text ORDER BY g.rolname::text)
                           FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
                          WHERE m.member = r.oid),
           'settings', (SELECT jsonb_agg(split_part(c, '=', 1) ORDER BY 1)
                          FROM pg_db_role_setting s, unnest(s.setconfig) AS c
                         WHERE s.setrole = r.oid AND s.setdatabase = 0)))::text
  FROM pg_roles r
 WHERE EXISTS (SELECT FROM pg_shdepend h
                WHERE h.refclassid = 'pg_authid'::regclass AND h.refobjid = r.oid
                  AND h.dbid = (SELECT d.oid FROM pg_database d
                                 WHERE d.datname = current_database()))
   AND r.rolname !~ '^(pg|naru)_'
