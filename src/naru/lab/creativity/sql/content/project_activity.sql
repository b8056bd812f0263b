INSERT INTO project_activity (id, project_id, user_id, kind, summary, detail, source, occurred_at)
SELECT n,
       gen.skewed(h, gen.projects()),
       CASE WHEN h % 40 > 0 THEN gen.skewed(g, gen.users()) END,
       (CASE WHEN h % 100 < 40 THEN 'viewed' WHEN h % 100 < 65 THEN 'edited' WHEN h % 100 < 80 THEN 'commented'
             WHEN h % 100 < 88 THEN 'uploaded' WHEN h % 100 < 93 THEN 'shared' WHEN h % 100 < 97 THEN 'joined'
             WHEN h % 100 < 99 THEN 'status' ELSE 'created' END)::activity_kind,
       CASE WHEN h % 100 >= 40 THEN gen.sentence(g) END,
       CASE WHEN g % 4 = 0 THEN jsonb_build_object('ms', h % 3000, 'page', g % 40, 'via', gen.pick(
           ARRAY['web', 'ios', 'android', 'api'], h >> 17)) END,
       CASE WHEN g % 3 > 0 THEN inet '10.0.0.0' + (g >> 9) % 16777216 END,
       gen.moment(g, CASE WHEN h % 30 = 0 THEN 1000 ELSE 364 END)
FROM (SELECT n, gen.h(n, 40) AS h, gen.h(n, 41) AS g
      FROM generate_series(gen.first(), gen.last()) AS n OFFSET 0) AS r;
