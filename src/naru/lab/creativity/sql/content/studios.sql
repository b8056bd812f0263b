INSERT INTO studios (id, name, seats, position)
SELECT n, gen.city(h) || ' ' || gen.pick(ARRAY['녹음실', '편집실', '연습실', 'Stage', 'Darkroom'], h >> 6) || ' ' || n,
       int4range(1, (h % 40 + 2)::int),
       CASE WHEN h % 8 > 0 THEN point(126.5 + gen.unit(h) * 3, 33.2 + gen.unit(h >> 20) * 5) END
FROM (SELECT n, gen.h(n, 150) AS h
      FROM generate_series(gen.first(), gen.last()) AS n OFFSET 0) AS r;
