SELECT format('%I.%I', n.nspname, c.cfgname), NULL::text,
       jsonb_strip_nulls(jsonb_build_object(
           'parser', (SELECT p.prsname FROM pg_ts_parser p WHERE p.oid = c.cfgparser),
           'mappings', (SELECT jsonb_agg(jsonb_build_array(m.maptokentype,
                                                           m.mapdict::regdictionary::text)
                                         ORDER BY m.maptokentype, m.mapseqno)
                          FROM pg_ts_config_map m WHERE m.mapcfg = c.oid),
           'owner', pg_get_userbyid(c.cfgowner),
           'comment', obj_description(c.oid, 'pg_ts_config')))::text
  FROM pg_ts_config c
  JOIN pg_namespace n ON n.oid = c.cfgnamespace
 WHERE n.nspname !~ '^pg_'
   AND n.nspname NOT IN ('information_schema', 'naru_migration')
   AND NOT EXISTS (SELECT FROM pg_depend e
                    WHERE e.classid = 'pg_ts_config'::regclass AND e.objid = c.oid
                      AND e.deptype = 'e')
