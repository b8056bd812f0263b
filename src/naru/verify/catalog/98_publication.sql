-- Which rows are published; the publications of a migration are its own.
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
           'tables', (SELECT jsonb_agg(r.prrelid::regclass::text
                                       ORDER BY r.prrelid::regclass::text COLLATE "C")
                        FROM pg_publication_rel r WHERE r.prpubid = p.oid),
           'owner', pg_get_userbyid(p.pubowner),
           'comment', obj_description(p.oid, 'pg_publication')))::text
  FROM pg_publication p
 WHERE NOT left(p.pubname, 5) = 'naru_'
   AND NOT EXISTS (SELECT FROM pg_depend e
                    WHERE e.classid = 'pg_publication'::regclass AND e.objid = p.oid
                      AND e.deptype = 'e')
