INSERT INTO thumbnails (project_id, width, height, image)
SELECT n, 160, 90, '\x89504e470d0a1a0a'::bytea || gen.bytes(n, 3000 + h % 15000)
FROM (SELECT n, gen.h(n, 170) AS h
      FROM generate_series(gen.first(), gen.last()) AS n OFFSET 0) AS r;
