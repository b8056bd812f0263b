INSERT INTO analytics."Monthly Report (월간)" ("select", "Month", "총 금액 (KRW)", "say ""hi""", "100%")
OVERRIDING SYSTEM VALUE
SELECT n * 10, (date '2026-07-01' - interval '1 month' * n)::date, gen.h(n, 200) % 100000000000,
       gen.sentence(gen.h(n, 201)), gen.h(n, 202) % 10001 / 100.0
FROM generate_series(gen.first(), gen.last()) AS n;
