-- Labels on what is in this database, and on the database itself.
SELECT format('%s %s by %I', l.objtype, l.objname, l.provider), NULL::text,
       jsonb_build_object('label', l.label, 'provider', quote_ident(l.provider),
                          'on', upper(l.objtype), 'name', l.objname)::text
  FROM pg_seclabels l
 WHERE l.classoid NOT IN ('pg_database'::regclass, 'pg_authid'::regclass, 'pg_tablespace'::regclass)
UNION ALL
SELECT format('this database by %I', l.provider), NULL::text,
       jsonb_build_object('label', l.label, 'provider', quote_ident(l.provider))::text
  FROM pg_shseclabel l
  JOIN pg_database d ON d.oid = l.objoid AND d.datname = current_database()
 WHERE l.classoid = 'pg_database'::regclass
