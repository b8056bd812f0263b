INSERT INTO sessions (id, user_id, token, address, user_agent, alive, idle)
SELECT md5('session ' || gen.seed() || ' ' || n)::uuid,
       gen.skewed(h, gen.users()),
       sha256(int8send(h) || int8send(g)),
       CASE WHEN h % 5 = 0 THEN inet '2001:db8::' + (g >> 3) % 4294967296 ELSE inet '10.0.0.0' + (h >> 9) % 16777216 END,
       CASE WHEN g % 17 > 0 THEN gen.user_agent(g) END,
       CASE WHEN h % 9 = 0 THEN tstzrange(gen.moment(h, 30), NULL)
            ELSE tstzrange(gen.moment(h, 120), gen.moment(h, 120) + interval '1 second' * (60 + g % 90000)) END,
       CASE WHEN g % 3 = 0 THEN interval '1 second' * (g % 7200) END
FROM (SELECT n, gen.h(n, 80) AS h, gen.h(n, 81) AS g
      FROM generate_series(gen.first(), gen.last()) AS n OFFSET 0) AS r;
