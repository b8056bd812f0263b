INSERT INTO comments (id, project_id, user_id, parent_id, body, likes, edited, created_at, updated_at)
OVERRIDING SYSTEM VALUE
SELECT n,
       gen.skewed(h, gen.projects()),
       gen.skewed(g, gen.users()),
       CASE WHEN n > 1 AND h % 3 = 0 THEN n - 1 - (g >> 20) % least(n - 1, 500) END,
       gen.sentence(h >> 1) || CASE WHEN g % 4 > 0 THEN ' ' || gen.sentence(g) ELSE '' END
           || CASE WHEN g % 4 > 1 THEN E'\n\n' || gen.sentence(h >> 7) || ' ' || gen.sentence(g >> 7) ELSE '' END,
       (gen.unit(h) * gen.unit(h) * gen.unit(g) * 300)::smallint,
       g % 13 = 0,
       gen.moment(h, 900),
       CASE WHEN g % 13 = 0 THEN gen.later(gen.moment(h, 900), g, 2) ELSE gen.moment(h, 900) END
FROM (SELECT n, gen.h(n, 50) AS h, gen.h(n, 51) AS g
      FROM generate_series(gen.first(), gen.last()) AS n OFFSET 0) AS r;
