-- What the recovery and migration exercises write to.
INSERT INTO test_recovery (id, created_at, data)
SELECT n, gen.moment(gen.h(n, 210), 60), gen.sentence(gen.h(n, 211)) FROM generate_series(1, 50) AS n;

INSERT INTO incident_log (occurred_at, description, id) OVERRIDING SYSTEM VALUE
SELECT gen.moment(gen.h(n, 220), 300), gen.pick(ARRAY['Disk almost full on db', 'Replication lag above 60 s',
    '백업이 늦게 끝남', 'Accidental data deletion occurred', '접속 폭주'], gen.h(n, 221)), n FROM generate_series(1, 40) AS n;

INSERT INTO migration_test (id, test_data, created_at)
SELECT n, CASE WHEN n = 2 THEN 'delete_me' ELSE 'Test data ' || n END, timestamp '2026-06-30 12:00:00'
FROM generate_series(1, 3) AS n;

INSERT INTO migration_checkpoints (id, checkpoint_name, created_at, description)
VALUES (1, 'before_migration', '2026-06-30 12:00:00+09', 'State of the old side before anything was moved'),
       (2, 'pre_deletion_test', '2026-06-30 13:00:00+09', 'Before deletion test for recovery validation');

INSERT INTO edge_values (id, what, words, code, amount, ratio, small) OVERRIDING SYSTEM VALUE VALUES
    (1, 'all absent', NULL, NULL, NULL, NULL, NULL),
    (2, 'empty and zero', '', '', 0, 0, 0),
    (3, 'zero with scale, minus zero', ' ', 'a', 0.000, '-0', '-0'),
    (4, 'not a number', '\N', 'NULL', 'NaN', 'NaN', 'NaN'),
    (5, 'infinite', 'null', '\.', 1e-30, 'Infinity', '-Infinity'),
    (6, 'long', repeat('가나다 abc ', 40000), '나루', 123456789012345678901234567890.123456789, 1.7976931348623157e308, 3.4e38),
    (7, 'tiny', E'tab\there', 'x y', -0.000000000000000000001, 5e-324, 1e-45),
    (8, 'one with another scale', E'line\nbreak\r\nand \\ backslash', 'é', 1.0, 0.1, 0.1),
    (9, 'one', 'quote '' and "double"', 'e', 1.00, 0.30000000000000004, 0.3),
    (10, 'not normalised', U&'\1112\1161\11ab, e\0301', '한', 1, 1, 1),
    (11, 'normalised', U&'\D55C, \00E9', '한', 1, 1, 1),
    (12, 'four bytes', '👩‍👩‍👧 🇰🇷 𝒳', '😀', 1, 1, 1),
    (13, 'trailing blank', 'x ', 'x', 4294967296, 4294967296, 16777217);

INSERT INTO edge_values (id, what, day, moment, wall, clock, clock_there, span) OVERRIDING SYSTEM VALUE VALUES
    (21, 'before Christ', '0044-03-15 BC', '0044-03-15 12:00:00+00 BC', '4713-01-01 00:00:00 BC', '00:00', '00:00+14', '-178000000 years'),
    (22, 'infinite', 'infinity', 'infinity', '-infinity', '24:00:00', '24:00:00-12', '0'),
    (23, 'minus infinite', '-infinity', '-infinity', 'infinity', '23:59:59.999999', '12:00+09', '1 microsecond'),
    (24, 'far', '5874897-12-31', '294276-12-31 23:59:59.999999+00', '9999-12-31 23:59:59', '12:00', '12:00+05:45', '1 mon -1 day 00:00:01'),
    (25, 'leap day', '2024-02-29', '2024-02-29 23:59:59.5+09', '2024-02-29 00:00:00', '01:02:03.4', '03:02:03.4+02', '24 hours'),
    (26, 'one day', '1970-01-01', '1970-01-01 00:00:00+00', '1970-01-01 00:00:00', '00:00:00.000001', '01:02:03.4+00', '1 day');

INSERT INTO edge_values (id, what, raw, flags, document, structure, numbers, roles, home, network, hardware, among, price)
OVERRIDING SYSTEM VALUE VALUES
    (31, 'empty ones', '', '', '{}', '{}', '{}', '{}', ROW(NULL, NULL, NULL, NULL), '0.0.0.0/0', '00:00:00:00:00:00', 'empty', 0),
    (32, 'with absent parts', '\x00', B'0', 'null', 'null', '{NULL}', '{NULL,admin}', ROW('', NULL, '', NULL), '::/0', 'ff:ff:ff:ff:ff:ff', '(,)', -1),
    (33, 'order and spaces kept', '\x5c4e', B'1010101010101010', '{"b": 1,  "a": 1, "b": 2}', '{"b": 1, "a": 1.0}', '[0:1]={1,2}', '{owner,owner}',
         ROW('04524', '서울', '세종대로', '110'), '10.1.0.0/16', '08:00:2b:01:02:03', '[1,10)', 92233720368547758.07),
    (34, 'deep', '\xdeadbeef', NULL, '[[[[]]]]', '{"a": {"b": [1, 1e3, "한\u0001"]}, "n": 1}', '{{1,2},{3,4}}', NULL, NULL, NULL, NULL, '(,5)', NULL),
    (35, 'bounds from one', NULL, B'1', '1.0', '1', '{1,2}', '{viewer}', NULL, NULL, NULL, '[2,)', 1);
