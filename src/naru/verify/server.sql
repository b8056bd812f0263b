-- One server at this moment: which one it is, where it stands, and how far its counts of changes
-- can be believed. What was committed before `counted` has been counted: a session counts when
-- it is idle outside of a transaction, at the latest a minute after.
SELECT (SELECT s.system_identifier::text FROM pg_control_system() AS s),
       d.oid::int8,
       jsonb_build_array(
           current_setting('server_version_num'),
           pg_encoding_to_char(d.encoding),
           (SELECT sum(hashtext(format('%s %s %s', l.enumtypid, l.enumsortorder, l.enumlabel))::int8)
              FROM pg_enum l),
           (SELECT jsonb_agg(jsonb_build_array(x.extname, x.extversion)
                             ORDER BY x.extname COLLATE "C") FROM pg_extension x))::text,
       format('%s %s',
              (SELECT c.timeline_id FROM pg_control_checkpoint() AS c),
              CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
                   ELSE pg_current_wal_insert_lsn() END),
       CASE WHEN pg_is_in_recovery() THEN 'it is a standby, which counts no changes'
            WHEN current_setting('server_version_num')::int < 150000
                 THEN 'before PostgreSQL 15 counts can be lost'
            WHEN current_setting('track_counts') <> 'on' THEN 'track_counts is off'
            WHEN NOT pg_has_role('pg_read_all_stats', 'USAGE')
                 THEN 'the login lacks pg_read_all_stats'
       END,
       format('%s %s', (SELECT w.stats_reset FROM pg_stat_bgwriter AS w),
              (SELECT w.stats_reset FROM pg_stat_database AS w WHERE w.datid = d.oid)),
       extract(epoch FROM least(
           clock_timestamp(),
           (SELECT min(least(a.xact_start, CASE WHEN a.state = 'active' THEN a.query_start END))
              FROM pg_stat_activity AS a
             WHERE a.pid <> pg_backend_pid() AND a.datid = d.oid)) - interval '60 seconds')::float8
  FROM pg_database d
 WHERE d.datname = current_database()
