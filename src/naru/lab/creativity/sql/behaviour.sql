-- Functions, triggers, views and comments.

CREATE FUNCTION touch_updated_at() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := greatest(now(), OLD.updated_at);
    RETURN NEW;
END $$;
CREATE TRIGGER organizations_touch BEFORE UPDATE ON organizations
    FOR EACH ROW EXECUTE FUNCTION touch_updated_at();
CREATE TRIGGER users_touch BEFORE UPDATE ON users
    FOR EACH ROW EXECUTE FUNCTION touch_updated_at();
CREATE TRIGGER projects_touch BEFORE UPDATE ON projects
    FOR EACH ROW EXECUTE FUNCTION touch_updated_at();
CREATE TRIGGER user_projects_touch BEFORE UPDATE ON user_projects
    FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION touch_updated_at();
CREATE TRIGGER comments_touch BEFORE UPDATE OF body ON comments
    FOR EACH ROW EXECUTE FUNCTION touch_updated_at();

CREATE FUNCTION update_inventory_timestamp() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := CURRENT_TIMESTAMP;
    RETURN NEW;
END $$;
CREATE FUNCTION update_products_timestamp() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := CURRENT_TIMESTAMP;
    RETURN NEW;
END $$;
CREATE TRIGGER trigger_update_inventory_timestamp BEFORE UPDATE ON inventory
    FOR EACH ROW EXECUTE FUNCTION update_inventory_timestamp();
CREATE TRIGGER trigger_update_products_timestamp BEFORE UPDATE ON products
    FOR EACH ROW EXECUTE FUNCTION update_products_timestamp();

-- Who changed a project's or a user's status, or deleted one. Runs as its owner: nobody who works
-- with the application may write the audit log by hand.
CREATE FUNCTION write_audit_line() RETURNS trigger LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    INSERT INTO public.audit_log (actor, action, object, object_id, before, after)
    VALUES (session_user, lower(TG_OP), TG_TABLE_NAME, OLD.id, jsonb_build_object('status', OLD.status),
            CASE WHEN TG_OP = 'UPDATE' THEN jsonb_build_object('status', NEW.status) END);
    RETURN NULL;
END $$;
CREATE TRIGGER projects_audit_status AFTER UPDATE OF status ON projects
    FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION write_audit_line();
CREATE TRIGGER projects_audit_delete AFTER DELETE ON projects
    FOR EACH ROW EXECUTE FUNCTION write_audit_line();
CREATE TRIGGER users_audit_status AFTER UPDATE OF status ON users
    FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION write_audit_line();

-- Takes stock for an order; false when there is not enough.
CREATE FUNCTION process_order_inventory(p_product_id integer, p_quantity integer)
    RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    available integer;
BEGIN
    SELECT stock_quantity INTO available FROM inventory WHERE product_id = p_product_id FOR UPDATE;
    IF available IS NULL OR available < p_quantity THEN
        RETURN false;
    END IF;
    UPDATE inventory SET stock_quantity = stock_quantity - p_quantity WHERE product_id = p_product_id;
    RETURN true;
END $$;
CREATE FUNCTION reset_daily_inventory() RETURNS void LANGUAGE sql AS $$
    UPDATE inventory SET stock_quantity = 100, reserved_quantity = 0
$$;
CREATE FUNCTION full_address(address postal_address) RETURNS text IMMUTABLE PARALLEL SAFE LANGUAGE sql AS $$
    SELECT nullif(concat_ws(' ', (address).city, (address).street, (address).detail,
                            '(' || (address).postcode || ')'), '')
$$;
CREATE FUNCTION projects_of(member bigint, at_least user_role DEFAULT 'viewer')
    RETURNS TABLE (project_id bigint, title text, role user_role) STABLE LANGUAGE sql AS $$
    SELECT p.id, p.title, up.role
    FROM user_projects AS up JOIN projects AS p ON p.id = up.project_id
    WHERE up.user_id = member AND up.status = 'active' AND up.role >= at_least
    ORDER BY p.id
$$;
CREATE AGGREGATE longest_span(interval) (SFUNC = interval_larger, STYPE = interval);

CREATE VIEW product_inventory_view AS
    SELECT p.id, p.title, p.subtitle, p.price, p.price_numeric, p.image, p.category, p.type, p.badge,
           i.stock_quantity, i.reserved_quantity,
           CASE WHEN i.stock_quantity = 0 THEN '품절' ELSE i.stock_quantity::text END AS stock_display
    FROM products AS p LEFT JOIN inventory AS i ON i.product_id = p.id;
CREATE VIEW active_users WITH (security_barrier) AS
    SELECT id, username, display_name, status, address, last_login_at FROM users WHERE status = 'active'
    WITH LOCAL CHECK OPTION;
CREATE VIEW project_overview AS
    SELECT p.id, p.title, p.status, u.display_name AS owner, full_address(u.address) AS owner_address,
           (SELECT count(*) FROM user_projects AS up WHERE up.project_id = p.id) AS members
    FROM projects AS p JOIN active_users AS u ON u.id = p.user_id;

CREATE MATERIALIZED VIEW analytics.project_popularity AS
    SELECT p.id AS project_id, p.title, p.status, count(up.id) AS members, max(up.updated_at) AS last_joined
    FROM public.projects AS p LEFT JOIN public.user_projects AS up ON up.project_id = p.id
    GROUP BY p.id;
CREATE UNIQUE INDEX project_popularity_project ON analytics.project_popularity (project_id);
CREATE INDEX project_popularity_members ON analytics.project_popularity (members DESC);

COMMENT ON SCHEMA analytics IS '집계와 보고서';
COMMENT ON TABLE users IS '회원. One row for each person who can log in';
COMMENT ON COLUMN users.points IS '적립금, in points with two decimals';
COMMENT ON TABLE audit_log IS 'Append-only; has no key on purpose';
COMMENT ON TYPE project_status IS 'Where a project stands';
COMMENT ON FUNCTION process_order_inventory(integer, integer) IS 'Takes stock for an order';
COMMENT ON INDEX idx_projects_status_created IS 'for the list of what is going on';
COMMENT ON CONSTRAINT user_projects_once ON user_projects IS 'a member joins a project once';
COMMENT ON VIEW product_inventory_view IS '상품과 재고';
COMMENT ON TRIGGER users_touch ON users IS 'keeps updated_at';
