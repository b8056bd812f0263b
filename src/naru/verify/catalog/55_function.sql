-- Functions, procedures, aggregates and window functions; those a range type brings are its own.
SELECT format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)),
       NULL::text,
       jsonb_strip_nulls(jsonb_build_object(
           'kind', coalesce(to_jsonb(p) ->> 'prokind', 'f'),
           'arguments', pg_get_function_arguments(p.oid),
           'returns', pg_get_function_result(p.oid),
           'language', l.lanname,
           'body', CASE WHEN to_jsonb(p) ->> 'prosqlbody' IS NULL THEN p.prosrc
                        ELSE substr(pg_get_functiondef(p.oid),
                                    strpos(pg_get_functiondef(p.oid), E'\n')) END,
           'library', p.probin,
           'volatility', p.provolatile,
           'strict', p.proisstrict,
           'security definer', p.prosecdef,
           'leakproof', p.proleakproof,
           'parallel', p.proparallel,
           'cost', p.procost,
           'rows', p.prorows,
           'support', nullif(coalesce(to_jsonb(p) ->> 'prosupport', '-'), '-'),
           'settings', to_jsonb(p.proconfig),
           'aggregate', (SELECT jsonb_build_array(
                                    g.aggkind, g.aggtransfn::regprocedure::text,
                                    g.aggfinalfn::regproc::text, g.aggcombinefn::regproc::text,
                                    g.aggserialfn::regproc::text, g.aggdeserialfn::regproc::text,
                                    g.aggmtransfn::regproc::text, g.aggminvtransfn::regproc::text,
                                    g.aggmfinalfn::regproc::text, g.aggfinalextra, g.aggmfinalextra,
                                    g.aggfinalmodify, g.aggmfinalmodify,
                                    nullif(g.aggsortop, 0)::regoperator::text,
                                    format_type(g.aggtranstype, NULL), g.agginitval,
                                    g.aggminitval)
                           FROM pg_aggregate g WHERE g.aggfnoid = p.oid),
           'owner', pg_get_userbyid(p.proowner),
           'grants', (SELECT jsonb_agg(jsonb_build_array(
                          CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee) END,
                          g.privilege_type, g.is_grantable))
                        FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS g),
           'comment', obj_description(p.oid, 'pg_proc')))::text
  FROM pg_proc p
  JOIN pg_namespace n ON n.oid = p.pronamespace
  JOIN pg_language l ON l.oid = p.prolang
 WHERE n.nspname !~ '^pg_'
   AND n.nspname NOT IN ('information_schema', 'naru_migration')
   AND NOT EXISTS (SELECT FROM pg_depend e
                    WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid
                      AND e.deptype IN ('e', 'i'))
