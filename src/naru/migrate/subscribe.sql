-- Before version 16 only superusers can make a subscription. This lets one login make
-- Naru's own, and gives them to it: from then on they have that login's rights, and no more.
CREATE SCHEMA naru_migration;
CREATE FUNCTION naru_migration.subscribe(name text, conninfo text, streaming boolean)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF name !~ '^naru_[a-z0-9_]+$' OR conninfo !~ 'password=' THEN
        RAISE 'only for subscriptions of Naru, which log in by a password';
    ELSIF (SELECT rolsuper FROM pg_roles WHERE rolname = session_user) THEN
        RAISE 'a superuser needs no help, and would be none afterwards';
    END IF;
    EXECUTE format('CREATE SUBSCRIPTION %I CONNECTION %L PUBLICATION %I WITH (slot_name = %L,'
        ' create_slot = false, copy_data = false, enabled = false, synchronous_commit = off%s)',
        name, conninfo, name, name, CASE WHEN streaming THEN ', streaming = on' ELSE '' END);
    -- Its owner must be a superuser when it becomes one; nobody sees that before it is over.
    EXECUTE format('ALTER ROLE %I SUPERUSER', session_user);
    EXECUTE format('ALTER SUBSCRIPTION %I OWNER TO %I', name, session_user);
    EXECUTE format('ALTER ROLE %I NOSUPERUSER', session_user);
END $$;
REVOKE ALL ON FUNCTION naru_migration.subscribe(text, text, boolean) FROM PUBLIC;
GRANT USAGE ON SCHEMA naru_migration TO naru_mover;
GRANT EXECUTE ON FUNCTION naru_migration.subscribe(text, text, boolean) TO naru_mover;
