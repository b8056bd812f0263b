INSERT INTO notifications (id, user_id, title, payload, channels, read_at, created_at)
SELECT n,
       gen.skewed(h, gen.users()),
       gen.family_name(h) || gen.given_name(h >> 8) || '님이 ‘' || gen.title(g) || '’에 '
           || gen.pick(ARRAY['댓글을 남겼습니다', '초대했습니다', '파일을 올렸습니다', '좋아요를 눌렀습니다'], g >> 30),
       jsonb_build_object('project', gen.skewed(g, gen.projects()), 'actor', gen.skewed(h, gen.users()), 'urgent', h % 50 = 0),
       (CASE g % 6 WHEN 0 THEN '{app,mail}' WHEN 1 THEN '{mail}' WHEN 2 THEN '{app,push,mail}' WHEN 3 THEN '{}'
             ELSE '{app}' END)::text[],
       CASE WHEN h % 10 < 7 THEN gen.later(gen.moment(g, 180), h, 3) END,
       gen.moment(g, 180)
FROM (SELECT n, gen.h(n, 60) AS h, gen.h(n, 61) AS g
      FROM generate_series(gen.first(), gen.last()) AS n OFFSET 0) AS r;
