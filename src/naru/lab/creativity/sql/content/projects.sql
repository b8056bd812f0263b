INSERT INTO projects
    (id, user_id, organization_id, title, description, status, visible_to, labels, budget, progress,
     period, settings, revision, last_activity_at, created_at, updated_at)
OVERRIDING SYSTEM VALUE
SELECT n,
       gen.skewed(h, gen.users()),
       CASE WHEN h % 3 > 0 THEN gen.skewed(g, gen.organizations()) END,
       gen.title(g) || CASE WHEN h % 8 = 0 THEN ' #' || h % 90 + 1 ELSE '' END,
       CASE WHEN h % 10 > 0 THEN gen.sentence(h >> 2) || E'\n' || gen.sentence(g >> 2) || ' ' || gen.sentence(g >> 5) END,
       (CASE WHEN g % 100 < 45 THEN 'active' WHEN g % 100 < 60 THEN 'completed' WHEN g % 100 < 75 THEN 'archived'
             WHEN g % 100 < 90 THEN 'draft' WHEN g % 100 < 95 THEN 'review' ELSE 'paused' END)::project_status,
       (CASE h % 5 WHEN 0 THEN '{viewer,member,editor,owner,admin}' WHEN 1 THEN '{owner,admin}'
             WHEN 2 THEN '{}' END)::user_role[],
       (ARRAY['영상', 'design', '음악', 'archive', '전시', 'app', '글', 'print', '"인용"', 'a,b', '공모'])
           [1 + (h % 6)::int : 1 + (h % 6)::int + (g % 5)::int],
       CASE WHEN g % 4 > 0 THEN g % 50000 * 10000 END,
       h % 10001 / 10000.0,
       CASE WHEN h % 11 = 0 THEN daterange((gen.moment(g, 1000))::date, NULL)
            WHEN h % 11 = 1 THEN 'empty'
            ELSE daterange((gen.moment(g, 1000))::date, (gen.moment(g, 1000))::date + (h % 300)::int, '[]') END,
       jsonb_build_object('cover', jsonb_build_object('colour', '#' || lpad(to_hex(g % 16777216), 6, '0'), 'fit', h % 2 = 0),
           'license', gen.pick(ARRAY['CC-BY-4.0', 'CC0', 'all rights reserved'], h), 'rate', (g % 1000) / 100.0),
       (gen.unit(g) * gen.unit(g) * 400)::int,
       gen.later(gen.moment(g, 1000), h, 300),
       gen.moment(g, 1000),
       gen.later(gen.moment(g, 1000), h, 300)
FROM (SELECT n, gen.h(n, 20) AS h, gen.h(n, 21) AS g
      FROM generate_series(gen.first(), gen.last()) AS n OFFSET 0) AS r;
