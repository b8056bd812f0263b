SELECT 'this database', NULL::text,
       jsonb_strip_nulls(jsonb_build_object(
           'encoding', pg_encoding_to_char(d.encoding),
           'collate', d.datcollate,
           'character type', d.datctype,
           'locale provider', coalesce(to_jsonb(d) ->> 'datlocprovider', 'c'),
           'locale', coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale')))::text
  FROM pg_database d
 WHERE d.datname = current_database()
