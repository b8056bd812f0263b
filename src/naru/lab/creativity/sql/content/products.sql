INSERT INTO products
    (id, title, subtitle, price, price_numeric, image, category, type, badge, created_at, updated_at)
SELECT n,
       gen.title(h),
       CASE WHEN h % 4 > 0 THEN gen.sentence(h >> 3) END,
       to_char(gen.product_price(n), 'FM999,999') || '원',
       gen.product_price(n),
       '/images/product-' || n || '.jpg',
       gen.pick(ARRAY['bigboys', 'cloudy', '문구', 'books', '공연'], h),
       gen.pick(ARRAY['figure', 'poster', 'ticket', 'book', 'goods'], h >> 8),
       CASE h % 7 WHEN 0 THEN 'NEW' WHEN 1 THEN '인기' WHEN 2 THEN '' END,
       (gen.moment(h, 700) AT TIME ZONE 'Asia/Seoul'),
       (gen.present() AT TIME ZONE 'Asia/Seoul') - interval '1 second' * (h % 9000000)
FROM (SELECT n, gen.h(n, 110) AS h
      FROM generate_series(gen.first(), gen.last()) AS n OFFSET 0) AS r;
