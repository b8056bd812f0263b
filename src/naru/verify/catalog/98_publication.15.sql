-- Which rows are published; the publications of a migration are its own.
-- Since 15 some columns and some rows of a table can be, and all tables of a schema.
SELECT format('%I', p.pubname), NULL::text,
       jsonb_strip_nulls(jsonb_build_object(
           'all tables', p.puballtables,
           'operations', (SELECT jsonb_agg(o.word ORDER BY o.place)
                            FROM (VALUES (1, 'insert', p.pubinsert), (2, 'update', p.pubupdate),
                                         (3, 'delete', p.pubdelete),
                                         (4, 'truncate', (to_jsonb(p) ->> 'pubtruncate')::bool))
                                 AS o (place, word, published) WHERE o.published),
           'via root', coalesce((to_jsonb(p) ->> 'pubviaroot')::bool, false),
           'generated columns', nullif(to_jsonb(p) ->> 'pubgencols', 'n'),
           'tables', (SELECT jsonb_agg(t.line ORDER BY t.line COLLATE "C")
                        FROM (SELECT r.prrelid::regclass
                                     || coalesce(' (' || (
                                         SELECT string_agg(quote_ident(a.attname), ', '
                                                           ORDER BY a.attnum)
                                           FROM pg_attribute a
                                          WHERE a.attrelid = r.prrelid
                                            AND a.attnum = ANY(r.prattrs::int2[])) || ')', '')
                                     || coalesce(' WHERE ' || pg_get_expr(r.prqual, r.prrelid), '')
                                FROM pg_publication_rel r WHERE r.prpubid = p.oid) AS t (line)),
           'schemas', (SELECT jsonb_agg(quote_ident(n.nspname) ORDER BY n.nspname COLLATE "C")
                         FROM pg_publication_namespace s
                         JOIN pg_namespace n ON n.oid = s.pnnspid WHERE s.pnpubid = p.oid),
           'owner', pg_get_userbyid(p.pubowner),
           'comment', obj_description(p.oid, 'pg_publication')))::text
  FROM pg_publication p
 WHERE NOT left(p.pubname, 5) = 'naru_'
   AND NOT EXISTS (SELECT FROM pg_depend e
                    WHERE e.classid = 'pg_publication'::regclass AND e.objid = p.oid
                      AND e.deptype = 'e')
