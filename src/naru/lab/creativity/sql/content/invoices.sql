INSERT INTO invoices
    (number, order_id, issued_on, due_at, net, tax_rate, exchange_rate, lines, note)
SELECT 'INV-' || lpad((100000 + n)::text, 10, '0'),
       gen.even(gen.h(n, 140), gen.orders()),
       (gen.moment(h, 700))::date,
       CASE WHEN h % 6 > 0 THEN gen.moment(h, 700) + interval '30 days' END,
       (h % 900000000) * 0.01,
       CASE h % 10 WHEN 0 THEN 0 WHEN 1 THEN 0.08875 ELSE 0.1 END,
       CASE WHEN h % 5 = 0 THEN (1300000000 + h % 200000000) * 0.000001 END,
       jsonb_build_array(jsonb_build_object('item', gen.title(h), 'qty', h % 4 + 1, 'price', gen.product_price(h % 5000)),
           jsonb_build_object('item', '배송비', 'price', 3000)),
       CASE WHEN h % 4 = 0 THEN gen.sentence(h) WHEN h % 4 = 1 THEN '' END
FROM (SELECT n, gen.h(n, 141) AS h
      FROM generate_series(gen.first(), gen.last()) AS n OFFSET 0) AS r;
