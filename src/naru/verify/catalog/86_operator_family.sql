SELECT format('%I.%I for %s', n.nspname, f.opfname, a.amname), NULL::text,
       jsonb_strip_nulls(jsonb_build_object(
           'operators', (SELECT jsonb_agg(jsonb_build_array(
                                    o.amopstrategy, o.amopopr::regoperator::text, o.amoppurpose)
                                    ORDER BY o.amopstrategy, o.amopopr::regoperator::text
                                             COLLATE "C")
                           FROM pg_amop o WHERE o.amopfamily = f.oid),
           'functions', (SELECT jsonb_agg(jsonb_build_array(
                                    p.amprocnum, format_type(p.amproclefttype, NULL),
                                    format_type(p.amprocrighttype, NULL),
                                    p.amproc::regprocedure::text)
                                    ORDER BY p.amprocnum, format_type(p.amproclefttype, NULL)
                                             COLLATE "C", format_type(p.amprocrighttype, NULL)
                                             COLLATE "C")
                           FROM pg_amproc p WHERE p.amprocfamily = f.oid),
           'owner', pg_get_userbyid(f.opfowner),
           'comment', obj_description(f.oid, 'pg_opfamily')))::text
  FROM pg_opfamily f
  JOIN pg_am a ON a.oid = f.opfmethod
  JOIN pg_namespace n ON n.oid = f.opfnamespace
 WHERE n.nspname !~ '^pg_'
   AND n.nspname NOT IN ('information_schema', 'naru_migration')
   AND NOT EXISTS (SELECT FROM pg_depend e
                    WHERE e.classid = 'pg_opfamily'::regclass AND e.objid = f.oid
                      AND e.deptype = 'e')
