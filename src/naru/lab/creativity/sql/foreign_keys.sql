-- Foreign keys. The first paragraph adds them without a look at the rows; each is validated
-- afterwards, side by side with the others. A partitioned table cannot wait with that: its own
-- are paragraphs that run beside the validations.

ALTER TABLE organizations ADD FOREIGN KEY (parent_id) REFERENCES organizations NOT VALID;
ALTER TABLE users ADD FOREIGN KEY (organization_id) REFERENCES organizations ON DELETE SET NULL NOT VALID;
ALTER TABLE users ADD FOREIGN KEY (referred_by) REFERENCES users ON DELETE SET NULL NOT VALID;
ALTER TABLE projects ADD FOREIGN KEY (user_id) REFERENCES users NOT VALID;
ALTER TABLE projects ADD FOREIGN KEY (organization_id) REFERENCES organizations ON DELETE SET NULL NOT VALID;
ALTER TABLE user_projects ADD FOREIGN KEY (user_id) REFERENCES users ON DELETE CASCADE NOT VALID;
ALTER TABLE user_projects ADD FOREIGN KEY (project_id) REFERENCES projects ON DELETE CASCADE NOT VALID;
ALTER TABLE comments ADD FOREIGN KEY (project_id) REFERENCES projects ON DELETE CASCADE NOT VALID;
ALTER TABLE comments ADD FOREIGN KEY (user_id) REFERENCES users NOT VALID;
ALTER TABLE comments ADD FOREIGN KEY (parent_id) REFERENCES comments
    ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED NOT VALID;
ALTER TABLE notifications ADD FOREIGN KEY (user_id) REFERENCES users ON DELETE CASCADE NOT VALID;
ALTER TABLE sessions ADD FOREIGN KEY (user_id) REFERENCES users ON DELETE CASCADE NOT VALID;
ALTER TABLE project_tags ADD FOREIGN KEY (project_id) REFERENCES projects ON DELETE CASCADE NOT VALID;
ALTER TABLE project_tags ADD FOREIGN KEY (tag_id) REFERENCES tags ON UPDATE CASCADE NOT VALID;
ALTER TABLE inventory ADD FOREIGN KEY (product_id) REFERENCES products ON DELETE CASCADE NOT VALID;
ALTER TABLE orders ADD FOREIGN KEY (product_id) REFERENCES products ON DELETE CASCADE NOT VALID;
ALTER TABLE price_history ADD FOREIGN KEY (product_id) REFERENCES products ON DELETE CASCADE NOT VALID;
ALTER TABLE invoices ADD FOREIGN KEY (order_id) REFERENCES orders ON DELETE RESTRICT NOT VALID;
ALTER TABLE bookings ADD FOREIGN KEY (studio_id) REFERENCES studios NOT VALID;
ALTER TABLE bookings ADD FOREIGN KEY (user_id) REFERENCES users NOT VALID;
ALTER TABLE thumbnails ADD FOREIGN KEY (project_id) REFERENCES projects ON DELETE CASCADE NOT VALID;
ALTER TABLE attachments ADD FOREIGN KEY (project_id) REFERENCES projects NOT VALID;

ALTER TABLE project_activity ADD FOREIGN KEY (project_id) REFERENCES projects;

ALTER TABLE project_activity ADD FOREIGN KEY (user_id) REFERENCES users;
