-- Who may do what. The roles exist already.

DO $$
BEGIN
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO app_read', current_database());
    EXECUTE format('ALTER DATABASE %I SET timezone = %L', current_database(), 'Asia/Seoul');
    EXECUTE format('COMMENT ON DATABASE %I IS %L', current_database(), '창작 플랫폼');
END $$;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;

GRANT USAGE ON SCHEMA public TO app_read;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO app_read;
GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO app_write;
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO app_write;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO app_read;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT INSERT, UPDATE, DELETE ON TABLES TO app_write;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO app_write;

-- Everybody reads the users but for their secrets; nobody changes the audit log.
REVOKE SELECT ON users FROM app_read;
GRANT SELECT (id, username, email, display_name, status, roles, organization_id, nickname, points,
    preferences, last_login_at, created_at, updated_at) ON users TO app_read;
GRANT SELECT ON users TO app_write;
REVOKE INSERT, UPDATE, DELETE ON audit_log FROM app_write;
REVOKE EXECUTE ON FUNCTION reset_daily_inventory() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION reset_daily_inventory() TO app_write WITH GRANT OPTION;

-- The analysts own their schema.
ALTER SCHEMA analytics OWNER TO analyst;
ALTER TABLE analytics.daily_stats OWNER TO analyst;
ALTER TABLE analytics."Monthly Report (월간)" OWNER TO analyst;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO analyst;
GRANT USAGE ON SCHEMA analytics TO app_read;
GRANT SELECT ON analytics.project_popularity, analytics.daily_stats TO app_read;
GRANT UPDATE ("총 금액 (KRW)") ON analytics."Monthly Report (월간)" TO app_write;
ALTER DEFAULT PRIVILEGES FOR ROLE analyst IN SCHEMA analytics GRANT SELECT ON TABLES TO app_read;

DO $$
DECLARE
    file oid;
BEGIN
    FOR file IN SELECT content FROM attachments ORDER BY content LOOP
        EXECUTE format('GRANT SELECT ON LARGE OBJECT %s TO app_read', file);
    END LOOP;
END $$;
