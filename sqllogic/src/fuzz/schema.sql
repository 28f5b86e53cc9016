CREATE TABLE a (
    id int PRIMARY KEY, i2 int2, i4 int4, i8 int8, n numeric, f8 float8, t text, vc varchar(10),
    c char(5), b boolean, d date, ts timestamp, tz timestamptz, iv interval, j jsonb, ia int4[],
    ta text[], ba bytea, u uuid);
CREATE TABLE b (
    id int PRIMARY KEY, a_id int REFERENCES a, i4 int4, n numeric(10, 2), t text, b boolean, d date,
    j jsonb, ia int4[], CHECK (i4 IS NULL OR i4 < 1000000));
CREATE INDEX a_i4 ON a (i4);
CREATE INDEX a_t ON a (t, i8);
CREATE INDEX b_a ON b (a_id, i4 DESC);
CREATE INDEX b_lower ON b (lower(t));
CREATE UNIQUE INDEX b_part ON b (d) WHERE b;
INSERT INTO a VALUES
    (1, 1, 10, 100, 1.5, 0.5, 'one', 'uno', 'a', true, '2024-02-29', '2024-02-29 12:30:45.123456', '2024-02-29 23:00:00+01', '1 mon 2 days 03:04:05.5', '{"a": 1, "b": [1, 2, {"c": null}]}', '{1,2,3}', '{a,b,NULL}', '\x00ff', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'),
    (2, -1, -10, -100, -1.50, -0.5, 'Two words', 'dos', 'bb', false, '2000-01-01', '1999-12-31 23:59:59.999999', '2000-01-01 00:00:00+00', '-1 year', '[1, "x", true, null]', '{}', '{}', '\x', '00000000-0000-0000-0000-000000000000'),
    (3, 32767, 2147483647, 9223372036854775807, 99999999999999999999.99, 1e300, '', '', '', true, '9999-12-31', 'infinity', '-infinity', '178000000 years', '"str"', '{NULL}', '{""}', '\xdeadbeef', 'ffffffff-ffff-ffff-ffff-ffffffffffff'),
    (4, -32768, -2147483648, -9223372036854775808, 'NaN', 'NaN', 'ünïcödé', 'quatre', 'ccc', NULL, '0001-01-01 BC', '0044-03-15 BC', '4713-01-01 00:00:00+00 BC', '-00:00:00.000001', '{}', '{2147483647,-1}', '{"a b","c,d","e\"f"}', '\x61', NULL),
    (5, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (6, 0, 0, 0, 0, 0, 'zero', 'zero', '0', false, '1970-01-01', '1970-01-01 00:00:00', '1970-01-01 00:00:00+00', '0', '0', '{0}', '{zero}', '\x30', '12345678-1234-5678-1234-567812345678'),
    (7, 7, 7, 7, 7.000, 7, 'seven', 'seven', '7', true, '2024-03-31', '2024-03-31 02:30:00', '2024-03-31 01:00:00+00', '1 day', '{"a": {"a": [1, 2]}, "n": 1.50}', '{7,7,7}', '{seven,SEVEN}', '\x3737', '77777777-7777-7777-7777-777777777777'),
    (8, 8, 10, 100, 0.1, '-Infinity', 'one', 'a_b%c', 'd', true, '2024-12-31', '2024-12-31 00:00:00', '2024-12-31 12:00:00-05', '23:59:60', '[[1, 2], [3]]', '{10,20,30,40}', '{x}', '\x5c', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12');
INSERT INTO b SELECT g, CASE WHEN g % 5 <> 0 THEN 1 + g % 8 END, g * 3 % 17 - 5,
    (g * 1.37)::numeric(10, 2), CASE WHEN g % 7 <> 0 THEN chr(97 + g % 26) || g END, g % 3 = 0,
    date '2024-01-01' + g, CASE WHEN g % 4 <> 0 THEN jsonb_build_object('g', g, 'm', g % 3) END,
    array[g, g % 5, NULL] FROM generate_series(1, 60) g;
ANALYZE;
