INSERT INTO users
    (id, username, email, display_name, status, roles, organization_id, referred_by, phone, address,
     birth_date, points, preferences, password_hash, last_login_at, created_at, updated_at)
OVERRIDING SYSTEM VALUE
SELECT n,
       CASE WHEN korean THEN gen.given_name_latin(h >> 10) ELSE lower(gen.english_first(g >> 12)) END || n,
       CASE WHEN h % 9 = 0 THEN 'User' WHEN korean THEN gen.given_name_latin(h >> 10)
            ELSE gen.english_first_plain(g >> 12) END || '.' || n || '@' || gen.mail_domain(h >> 20),
       CASE WHEN korean THEN gen.family_name(h >> 5) || gen.given_name(h >> 10)
            ELSE gen.english_first(g >> 12) || ' ' || gen.english_last(g >> 18) END,
       (CASE WHEN h % 100 < 82 THEN 'active' WHEN h % 100 < 92 THEN 'dormant' WHEN h % 100 < 95 THEN 'invited'
             WHEN h % 100 < 97 THEN 'suspended' ELSE 'left' END)::user_status,
       (CASE g % 20 WHEN 0 THEN '{admin,editor}' WHEN 1 THEN '{owner}' WHEN 2 THEN '{editor,member}'
             WHEN 3 THEN '{}' WHEN 4 THEN '{viewer}' ELSE '{member}' END)::user_role[],
       CASE WHEN h % 4 <> 0 THEN gen.skewed(g, gen.organizations()) END,
       CASE WHEN n > 100 AND g % 5 < 2 THEN gen.skewed(h, n - 1) END,
       '010-' || lpad((h % 10000)::text, 4, '0') || '-' || lpad((g % 10000)::text, 4, '0'),
       CASE WHEN g % 3 > 0 THEN ROW(lpad((g % 63000)::text, 5, '0'), gen.city(g), gen.street(g >> 7),
           ((g >> 20) % 400 + 1) || CASE WHEN g % 2 = 0 THEN '동 ' || h % 3000 || '호' ELSE '' END)::postal_address END,
       CASE WHEN h % 6 <> 0 THEN date '1955-01-01' + (g % 19000)::int END,
       (h % 10000000) / 100.0,
       jsonb_build_object('language', CASE WHEN korean THEN 'ko' ELSE 'en' END, 'theme', gen.pick(
           ARRAY['light', 'dark', 'system'], g >> 3), 'mail', h % 2 = 0, 'volume', h % 101, 'seen', ARRAY[g % 7, g % 11]),
       'pbkdf2:' || encode(sha256(int8send(g)), 'base64'),
       CASE WHEN h % 12 <> 0 THEN gen.later(gen.present() - interval '90 days', g >> 9, 90) END,
       gen.moment(g, 1100),
       gen.later(gen.moment(g, 1100), h, 400)
FROM (SELECT n, gen.h(n, 10) AS h, gen.h(n, 11) AS g, gen.h(n, 12) % 5 < 3 AS korean
      FROM generate_series(gen.first(), gen.last()) AS n OFFSET 0) AS r;
