INSERT INTO organizations
    (id, parent_id, name, slug, business_number, address, founded_on, created_at, updated_at)
OVERRIDING SYSTEM VALUE
SELECT n,
       CASE WHEN n > 10 AND h % 3 = 0 THEN gen.skewed(h, n / 2) END,
       CASE WHEN h % 2 = 0
            THEN gen.city(h >> 4) || ' ' || gen.pick(ARRAY['문화재단', '미디어랩', '예술대학', '창작소'], h >> 9)
            ELSE gen.english_last(h >> 4) || ' ' || gen.pick(ARRAY['Studio', 'Foundation', '& Sons', 'Collective'], h >> 9)
       END || ' ' || n,
       'org-' || n,
       CASE WHEN h % 7 <> 0 THEN lpad((h % 900 + 100)::text, 3, '0') || '-' || lpad((h % 97)::text, 2, '0')
            || '-' || lpad((h % 99991)::text, 5, '0') END,
       ROW(lpad((h % 63000)::text, 5, '0'), gen.city(h >> 4), gen.street(h >> 14),
           ((h >> 20) % 300 + 1) || '번지')::postal_address,
       date '1950-01-01' + (h % 27000)::int,
       gen.moment(h, 1500), gen.present() - interval '1 second' * (h % 86400)
FROM (SELECT n, gen.h(n, 1) AS h FROM generate_series(gen.first(), gen.last()) AS n OFFSET 0) AS r;
