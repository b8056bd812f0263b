SELECT format('%I', x.extname), NULL::text,
       jsonb_strip_nulls(jsonb_build_object(
           'version', x.extversion,
           'schema', n.nspname))::text
  FROM pg_extension x
  JOIN pg_namespace n ON n.oid = x.extnamespace
