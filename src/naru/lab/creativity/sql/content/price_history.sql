-- Four periods for each product, one after the other; the last one has no end.
INSERT INTO price_history (id, product_id, price, valid)
OVERRIDING SYSTEM VALUE
SELECT n, (n + 3) / 4, gen.product_price((n + 3) / 4) * (0.85 + (n % 4) * 0.05),
       daterange(date '2023-01-01' + (period * 300), CASE WHEN period < 3 THEN date '2023-01-01' + (period + 1) * 300 END)
FROM (SELECT n, ((n - 1) % 4)::int AS period
      FROM generate_series(gen.first(), gen.last()) AS n OFFSET 0) AS r;
