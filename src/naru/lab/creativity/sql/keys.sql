-- Keys and indexes, once the content is in. Each paragraph is one piece of work: the pieces run
-- side by side, the costly first.

ALTER TABLE project_activity ADD PRIMARY KEY (id, occurred_at);

CREATE INDEX project_activity_project ON project_activity (project_id, occurred_at DESC) INCLUDE (kind);

ALTER TABLE user_projects ADD PRIMARY KEY (id);
ALTER TABLE user_projects ADD CONSTRAINT user_projects_once UNIQUE (user_id, project_id);
CREATE INDEX user_projects_project ON user_projects (project_id) WHERE status = 'active';

ALTER TABLE comments ADD PRIMARY KEY (id);
CREATE INDEX comments_project ON comments (project_id, created_at);
CREATE INDEX comments_user ON comments (user_id);
CREATE INDEX comments_parent ON comments (parent_id) WHERE parent_id IS NOT NULL;

ALTER TABLE projects ADD PRIMARY KEY (id);
CREATE INDEX idx_projects_status_created ON projects (status, created_at) WHERE status = 'active';
CREATE INDEX projects_user ON projects (user_id) INCLUDE (status, title);
CREATE INDEX projects_title_folded ON projects (lower(title) COLLATE "C");
CREATE INDEX projects_labels ON projects USING gin (labels);
CREATE INDEX projects_settings ON projects USING gin (settings jsonb_path_ops);
CREATE INDEX projects_words ON projects USING gin (to_tsvector('simple'::regconfig, title));
ALTER TABLE projects ALTER COLUMN title SET STATISTICS 50;
CREATE STATISTICS projects_status_by_organization (dependencies, ndistinct, mcv)
    ON status, organization_id FROM projects;

ALTER TABLE users ADD PRIMARY KEY (id);
ALTER TABLE users ADD CONSTRAINT users_username_key UNIQUE (username);
CREATE UNIQUE INDEX users_email_key ON users (email);
CREATE INDEX users_nickname_like ON users USING gin (nickname gin_trgm_ops);
CREATE INDEX users_created ON users (created_at);
CREATE INDEX users_at_work ON users (last_login_at DESC NULLS LAST) WHERE status = 'active';

ALTER TABLE notifications ADD PRIMARY KEY (id);
CREATE INDEX notifications_unread ON notifications (user_id, created_at) WHERE read_at IS NULL;

CREATE INDEX audit_log_when ON audit_log USING brin (happened_at) WITH (pages_per_range = 32);
CREATE INDEX audit_log_object ON audit_log (object, object_id);

ALTER TABLE project_tags ADD PRIMARY KEY (project_id, tag_id);
CREATE INDEX project_tags_tag ON project_tags (tag_id);
ALTER TABLE tags ADD PRIMARY KEY (id);
ALTER TABLE tags ADD UNIQUE (name);

ALTER TABLE orders ADD PRIMARY KEY (id);
CREATE INDEX idx_orders_product_id ON orders (product_id);
CREATE INDEX idx_orders_order_date ON orders (order_date);
CREATE INDEX idx_orders_customer_name ON orders (customer_name);

ALTER TABLE sessions ADD PRIMARY KEY (id);
CREATE INDEX sessions_user ON sessions USING hash (user_id);

ALTER TABLE bookings ADD PRIMARY KEY (id);
ALTER TABLE bookings ADD CONSTRAINT bookings_do_not_overlap
    EXCLUDE USING gist (studio_id WITH =, during WITH &&) WHERE (NOT cancelled);
ALTER TABLE studios ADD PRIMARY KEY (id);

ALTER TABLE price_history ADD PRIMARY KEY (id);
ALTER TABLE price_history ADD CONSTRAINT price_history_one_price_a_day
    EXCLUDE USING gist (product_id WITH =, valid WITH &&);

ALTER TABLE invoices ADD PRIMARY KEY (number);
CREATE INDEX invoices_order ON invoices (order_id);

ALTER TABLE organizations ADD PRIMARY KEY (id);
ALTER TABLE organizations ADD UNIQUE (slug);
ALTER TABLE products ADD PRIMARY KEY (id);
CREATE INDEX idx_products_category ON products (category);
CREATE INDEX idx_products_type ON products (type);
ALTER TABLE inventory ADD PRIMARY KEY (id);
CREATE INDEX idx_inventory_product_id ON inventory (product_id);
ALTER TABLE thumbnails ADD PRIMARY KEY (project_id);
ALTER TABLE attachments ADD PRIMARY KEY (id);
ALTER TABLE attachments ADD UNIQUE (content);
ALTER TABLE test_recovery ADD PRIMARY KEY (id);
ALTER TABLE incident_log ADD PRIMARY KEY (id);
ALTER TABLE migration_test ADD PRIMARY KEY (id);
ALTER TABLE migration_checkpoints ADD PRIMARY KEY (id);
ALTER TABLE migration_checkpoints ADD UNIQUE (checkpoint_name) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE edge_values ADD PRIMARY KEY (id);
ALTER TABLE analytics.daily_stats ADD PRIMARY KEY (metric, day);
ALTER TABLE analytics."Monthly Report (월간)" ADD CONSTRAINT "Monthly Report (월간) 기본 키" PRIMARY KEY ("select");
CREATE UNIQUE INDEX "Month, once" ON analytics."Monthly Report (월간)" ("Month");
