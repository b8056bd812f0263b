SELECT format('%I', t.evtname), NULL::text,
       jsonb_strip_nulls(jsonb_build_object(
           'event', t.evtevent,
           'function', t.evtfoid::regproc::text,
           'enabled', t.evtenabled,
           'tags', to_jsonb(t.evttags),
           'owner', pg_get_userbyid(t.evtowner),
           'comment', obj_description(t.oid, 'pg_event_trigger')))::text
  FROM pg_event_trigger t
 WHERE NOT left(t.evtname, 5) = 'naru_'
   AND NOT EXISTS (SELECT FROM pg_depend e
                    WHERE e.classid = 'pg_event_trigger'::regclass AND e.objid = t.oid
                      AND e.deptype = 'e')
