-- Settings of this database, and of roles in it. Whether it is read-only by default is what a
-- migration changes to close it, and says nothing of its content. Values of settings that
-- applications define may be secrets, and are not shown.
SELECT format('%I%s', split_part(c, '=', 1),
              CASE WHEN s.setrole <> 0 THEN format(' for %I', pg_get_userbyid(s.setrole)) ELSE '' END),
       NULL::text,
       jsonb_build_object('value', CASE WHEN strpos(split_part(c, '=', 1), '.') > 0
           THEN 'hidden ' || hashtext(c) ELSE substr(c, strpos(c, '=') + 1) END)::text
  FROM pg_db_role_setting s, unnest(s.setconfig) AS c
 WHERE s.setdatabase = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
   AND split_part(c, '=', 1) <> 'default_transaction_read_only'
