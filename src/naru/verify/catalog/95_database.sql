-- Who may connect is what a migration changes to close a database, and says nothing of its content.
SELECT 'this database', NULL::text,
       jsonb_strip_nulls(jsonb_build_object(
           'encoding', pg_encoding_to_char(d.encoding),
           'collate', d.datcollate,
           'character type', d.datctype,
           'locale provider', coalesce(to_jsonb(d) ->> 'datlocprovider', 'c'),
           'locale', coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale'),
           'connection limit', d.datconnlimit,
           'tablespace', (SELECT s.spcname FROM pg_tablespace s
                           WHERE s.oid = d.dattablespace AND s.spcname <> 'pg_default'),
           'owner', pg_get_userbyid(d.datdba),
           'grants', (SELECT jsonb_agg(jsonb_build_array(
                          CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee) END,
                          g.privilege_type, g.is_grantable))
                        FROM aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) AS g
                       WHERE g.privilege_type <> 'CONNECT'),
           'may connect', (SELECT jsonb_agg(DISTINCT CASE g.grantee WHEN 0 THEN 'PUBLIC'
                               WHEN d.datdba THEN 'the owner'
                               ELSE pg_get_userbyid(g.grantee) END
                               || CASE WHEN g.is_grantable THEN ' with grant option' ELSE '' END)
                             FROM aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) AS g
                            WHERE g.privilege_type = 'CONNECT'),
           'comment', shobj_description(d.oid, 'pg_database')))::text
  FROM pg_database d
 WHERE d.datname = current_database()
