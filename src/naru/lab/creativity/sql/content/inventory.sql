INSERT INTO inventory (id, product_id, stock_quantity, reserved_quantity, updated_at)
SELECT n, n, CASE WHEN h % 20 = 0 THEN 0 ELSE 100000 + h % 100000 END, h % 12,
       (gen.present() AT TIME ZONE 'Asia/Seoul') - interval '1 second' * (h % 90000)
FROM (SELECT n, gen.h(n, 120) AS h
      FROM generate_series(gen.first(), gen.last()) AS n OFFSET 0) AS r;
