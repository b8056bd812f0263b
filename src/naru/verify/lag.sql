-- Logical slots of this database, as they feed somebody: name, confirmed, end of the WAL, bytes
-- held back, WAL status, whether a walsender runs, its delay (NULL: not to be seen), seconds idle.
-- The delay is measured when the subscriber replies, which it does every 10 s unless its apply
-- is stuck: from then on its silence is the delay.
SELECT s.slot_name,
       s.confirmed_flush_lsn::text,
       CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
            ELSE pg_current_wal_insert_lsn() END::text,
       s.restart_lsn::text,
       coalesce(to_jsonb(s) ->> 'wal_status', 'unknown'),
       s.active,
       CASE WHEN r.state IS NOT NULL THEN
            greatest(extract(epoch FROM r.replay_lag),
                     CASE WHEN silent.seconds > 12 THEN silent.seconds END, 0)::float8 END,
       extract(epoch FROM clock_timestamp()
                          - (to_jsonb(s) ->> 'inactive_since')::timestamptz)::float8
  FROM pg_replication_slots s
  LEFT JOIN pg_stat_replication r ON r.pid = s.active_pid
  CROSS JOIN LATERAL (SELECT extract(epoch FROM clock_timestamp()
                             - (to_jsonb(r) ->> 'reply_time')::timestamptz)) AS silent (seconds)
 WHERE s.slot_type = 'logical' AND s.database = current_database()
 ORDER BY 1
