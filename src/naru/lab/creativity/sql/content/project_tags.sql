-- Two for each project: one of the lower and one of the upper half of the tags.
INSERT INTO project_tags (project_id, tag_id, weight)
SELECT (n + 1) / 2,
       gen.skewed(h, gen.tags() / 2) + (n % 2) * (gen.tags() / 2),
       CASE WHEN h % 6 = 0 THEN 1 ELSE gen.unit(h) END
FROM (SELECT n, gen.h(n, 100) AS h
      FROM generate_series(gen.first(), gen.last()) AS n OFFSET 0) AS r;
