-- Each round gives every user one more project, another one than in the rounds before.
INSERT INTO user_projects (id, user_id, project_id, role, share, status, created_at, updated_at)
SELECT n,
       member,
       1 + (gen.skewed(gen.h(member, 30), gen.projects()) + round * (gen.projects() / gen.rounds())) % gen.projects(),
       (CASE WHEN h % 20 = 0 THEN 'owner' WHEN h % 20 < 5 THEN 'editor' WHEN h % 20 < 17 THEN 'member'
             ELSE 'viewer' END)::user_role,
       CASE WHEN h % 3 = 0 THEN (h % 1000) / 10.0 END,
       CASE WHEN g % 20 = 0 THEN 'removed' WHEN g % 20 < 3 THEN 'invited' ELSE 'active' END,
       gen.moment(g, 900),
       gen.later(gen.moment(g, 900), h, 200)
FROM (SELECT n, 1 + (n - 1) % gen.users() AS member, (n - 1) / gen.users() AS round,
             gen.h(n, 31) AS h, gen.h(n, 32) AS g
      FROM generate_series(gen.first(), gen.last()) AS n OFFSET 0) AS r;
