INSERT INTO analytics.daily_stats (day, metric, value, trend)
SELECT date '2026-06-30' - (n / 5)::int, gen.pick(ARRAY['가입', 'active_users', 'Orders', 'revenue', 'ratio'], n),
       gen.h(n, 190) % 1000000000000 / 1000000.0,
       CASE gen.h(n, 191) % 40 WHEN 0 THEN 'NaN' WHEN 1 THEN NULL ELSE gen.unit(gen.h(n, 192)) / 3 - 0.1 END
FROM generate_series(gen.first(), gen.last()) AS n;
