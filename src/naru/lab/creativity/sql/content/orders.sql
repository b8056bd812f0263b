INSERT INTO orders
    (id, customer_name, product_id, quantity, unit_price, total_price, order_date, status)
SELECT n,
       CASE WHEN h % 5 < 4 THEN gen.family_name(h >> 4) || gen.given_name(h >> 9)
            ELSE gen.english_first(h >> 4) || ' ' || gen.english_last(h >> 9) END,
       product, amount, gen.product_price(product), amount * gen.product_price(product),
       (gen.moment(h, 700) AT TIME ZONE 'Asia/Seoul'),
       CASE WHEN h % 50 = 0 THEN 'cancelled' WHEN h % 50 < 4 THEN 'pending' ELSE 'completed' END
FROM (SELECT n, gen.h(n, 130) AS h, gen.skewed(gen.h(n, 131), gen.products()) AS product,
             (1 + gen.h(n, 132) % 3)::int AS amount
      FROM generate_series(gen.first(), gen.last()) AS n OFFSET 0) AS r;
