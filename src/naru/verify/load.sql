-- How busy a server is: how far the slowest of those that follow it is behind (or, on a standby,
-- it itself), and how many sessions work, ours not counted.
SELECT greatest(
           (SELECT max(pg_wal_lsn_diff(
                       CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
                            ELSE pg_current_wal_lsn() END, r.replay_lsn))
              FROM pg_stat_replication AS r),
           CASE WHEN pg_is_in_recovery()
                THEN pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) END)::float8,
       greatest(
           (SELECT max(extract(epoch FROM r.replay_lag)) FROM pg_stat_replication AS r),
           CASE WHEN pg_is_in_recovery()
                     AND pg_last_wal_receive_lsn() > pg_last_wal_replay_lsn()
                THEN extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) END)::float8,
       (SELECT count(*) FROM pg_stat_activity AS a
         WHERE a.state = 'active' AND a.backend_type = 'client backend'
           AND NOT (a.application_name = 'naru: verify' AND a.usename = current_user))::int
