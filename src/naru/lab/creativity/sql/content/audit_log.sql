-- Every twentieth line is there twice, as lines without a key may be.
INSERT INTO audit_log (happened_at, actor, action, object, object_id, before, after)
SELECT gen.present() - interval '1 second' * ((gen.audit_log() - line) * 40 + h % 40),
       gen.pick(ARRAY['app_user', 'app_user', 'app_user', 'postgres'], h)::name,
       gen.pick(ARRAY['update', 'update', 'insert', 'delete'], h >> 5),
       gen.pick(ARRAY['users', 'projects', 'projects', 'orders', 'user_projects'], h >> 9),
       gen.even(h, gen.users()),
       CASE WHEN h % 3 > 0 THEN jsonb_build_object('status', gen.pick(ARRAY['draft', 'active', 'paused'], g), 'revision', g % 400) END,
       CASE WHEN h % 7 > 0 THEN jsonb_build_object('status', gen.pick(ARRAY['review', 'active', 'completed'], g >> 4), 'revision', g % 400 + 1,
           'title', gen.title(g)) END
FROM (SELECT line, gen.h(line, 70) AS h, gen.h(line, 71) AS g
      FROM (SELECT CASE WHEN n % 20 = 0 THEN n - 1 ELSE n END AS line
            FROM generate_series(gen.first(), gen.last()) AS n) AS lines OFFSET 0) AS r;
