-- What logs in there is a secret: only the names of options are compared.
SELECT format('%s at %I', CASE m.umuser WHEN 0 THEN 'PUBLIC' ELSE quote_ident(m.usename) END,
              m.srvname), NULL::text,
       jsonb_strip_nulls(jsonb_build_object(
           'options', (SELECT jsonb_agg(split_part(o, '=', 1) ORDER BY o COLLATE "C")
                         FROM unnest(m.umoptions) AS o)))::text
  FROM pg_user_mappings m
