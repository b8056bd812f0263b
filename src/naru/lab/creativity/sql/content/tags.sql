INSERT INTO tags (id, name, colour)
OVERRIDING SYSTEM VALUE
SELECT n,
       gen.pick(ARRAY['사진', 'Film', '소설', 'Comics', '연극', 'Dance', '건축', 'Pottery', '요리', 'Poetry'], n) || ' ' || n,
       '#' || lpad(to_hex(gen.h(n, 90) % 16777216), 6, '0')
FROM generate_series(gen.first(), gen.last()) AS n;
