-- Files of a few kilobytes, some of several hundred, in large objects with numbers of our own.
INSERT INTO attachments (id, project_id, file_name, mime_type, content, file_size, checksum)
OVERRIDING SYSTEM VALUE
SELECT n, gen.skewed(h, gen.projects()),
       gen.korean_title(h) || '.' || gen.pick(ARRAY['pdf', 'mp3', 'png', 'docx'], h >> 30),
       gen.pick(ARRAY['application/pdf', 'audio/mpeg', 'image/png',
           'application/vnd.openxmlformats-officedocument.wordprocessingml.document'], h >> 30),
       lo_from_bytea((20000000 + n)::oid, content), length(content), sha256(content)
FROM (SELECT n, gen.h(n, 180) AS h, gen.bytes(n, CASE
          WHEN n % 39 = 0 THEN 0 WHEN n % 25 = 0 THEN 200000 + gen.h(n, 181) % 200000
          ELSE 2000 + gen.h(n, 181) % 40000 END) AS content
      FROM generate_series(gen.first(), gen.last()) AS n OFFSET 0) AS r;
