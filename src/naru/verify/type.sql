-- One type: what decides how its values are compared.
SELECT t.oid::int8, n.nspname, t.typname, t.typtype::text,
       t.typtype = 'b' AND o.proname = 'array_out' AND o.pronamespace = 'pg_catalog'::regnamespace,
       oname.nspname, o.proname, sname.nspname, s.proname,
       CASE t.typtype WHEN 'd' THEN t.typbasetype
                      WHEN 'r' THEN (SELECT r.rngsubtype FROM pg_range r WHERE r.rngtypid = t.oid)
                      WHEN 'm' THEN (SELECT (to_jsonb(r) ->> 'rngsubtype')::oid FROM pg_range r
                                      WHERE (to_jsonb(r) ->> 'rngmultitypid')::oid = t.oid)
                      ELSE nullif(t.typelem, 0) END::int8
  FROM pg_type t
  JOIN pg_namespace n ON n.oid = t.typnamespace
  JOIN pg_proc o ON o.oid = t.typoutput
  JOIN pg_namespace oname ON oname.oid = o.pronamespace
  LEFT JOIN pg_proc s ON s.oid = t.typsend
  LEFT JOIN pg_namespace sname ON sname.oid = s.pronamespace
 WHERE t.oid = %s
