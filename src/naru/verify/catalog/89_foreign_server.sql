-- Options are left out: they hold addresses, and may hold secrets.
SELECT format('%I', s.srvname), NULL::text,
       jsonb_strip_nulls(jsonb_build_object(
           'wrapper', w.fdwname,
           'type', s.srvtype,
           'version', s.srvversion,
           'owner', pg_get_userbyid(s.srvowner)))::text
  FROM pg_foreign_server s
  JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw
