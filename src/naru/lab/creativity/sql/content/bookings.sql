-- One studio's bookings follow each other, four hours apart.
INSERT INTO bookings (id, studio_id, user_id, during, cancelled)
OVERRIDING SYSTEM VALUE
SELECT n, 1 + n % gen.studios(), gen.skewed(h, gen.users()),
       tstzrange(start, start + interval '1 minute' * (30 + h % 210)), h % 15 = 0
FROM (SELECT n, gen.h(n, 160) AS h, gen.present() - interval '4 hours' * (n / gen.studios()) AS start
      FROM generate_series(gen.first(), gen.last()) AS n OFFSET 0) AS r;
