-- Everything that Aegis keeps and a dump holds: dumped, restored and dumped again by the tests of
-- over_the_wire/dump.rs. What PostgreSQL would dump of it must come out letter by letter.

CREATE SCHEMA shop;
CREATE SCHEMA "Odd ""names""";
COMMENT ON SCHEMA shop IS 'what is sold';

CREATE TYPE shop.size AS ENUM ('small', 'it''s medium', 'LARGE');
ALTER TYPE shop.size ADD VALUE 'huge' AFTER 'LARGE';
CREATE DOMAIN shop.amount AS numeric(12, 2) DEFAULT 0 NOT NULL CHECK (VALUE >= 0)
    CONSTRAINT "not too much" CHECK (VALUE < 1000000);
CREATE DOMAIN shop.sizes AS shop.size[];
CREATE TYPE shop.place AS (street text, house integer, zip character varying(10), seen shop.size);
COMMENT ON TYPE shop.size IS 'how large';
COMMENT ON DOMAIN shop.amount IS 'money, without a currency';
COMMENT ON COLUMN shop.place.zip IS 'may have letters';

CREATE SEQUENCE shop.free_running AS smallint INCREMENT BY -3 MINVALUE -300 MAXVALUE 30 START 30 CYCLE;
CREATE SEQUENCE shop.never_used START WITH 7 CACHE 5;
SELECT nextval('shop.free_running'), nextval('shop.free_running');

CREATE TABLE shop.customer (
    id bigint GENERATED ALWAYS AS IDENTITY (SEQUENCE NAME shop.customer_numbers START WITH 100 INCREMENT BY 10) PRIMARY KEY,
    name character varying(80) NOT NULL,
    email text UNIQUE,
    lives shop.place,
    wears shop.size DEFAULT 'LARGE',
    all_sizes shop.sizes,
    limit_of shop.amount,
    tags text[] DEFAULT '{}'::text[] NOT NULL,
    born date CHECK (born > '1900-01-01'),
    seen timestamp with time zone DEFAULT now(),
    loud text GENERATED ALWAYS AS (upper((name)::text)) STORED,
    CONSTRAINT known_somehow CHECK (email IS NOT NULL OR born IS NOT NULL)
);
COMMENT ON TABLE shop.customer IS 'who buys';
COMMENT ON COLUMN shop.customer.email IS 'one for each';
COMMENT ON CONSTRAINT known_somehow ON shop.customer IS 'we can ask';

CREATE TABLE shop.bill (
    number serial,
    of_customer bigint REFERENCES shop.customer ON DELETE CASCADE,
    replaces integer,
    paid boolean DEFAULT false,
    at timestamp(3) without time zone,
    took interval day to second(2),
    u uuid, b bytea, j json, jb jsonb, f4 real, f8 double precision, i2 smallint,
    c character(5), bits bit(4), vb bit varying(9), t time(1) without time zone, tz time with time zone,
    i inet, net cidr, mac macaddr, costs money, plain numeric, exact numeric(8, 3),
    CONSTRAINT bill_key PRIMARY KEY (number),
    CONSTRAINT follows FOREIGN KEY (replaces) REFERENCES shop.bill(number) MATCH FULL ON UPDATE SET NULL DEFERRABLE,
    CONSTRAINT later UNIQUE (i2) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT "once a moment" UNIQUE NULLS NOT DISTINCT (of_customer, at)
);
ALTER TABLE shop.bill ADD CONSTRAINT sane CHECK (f8 < 2e15) NOT VALID;
ALTER TABLE shop.bill ALTER COLUMN f8 SET STATISTICS 500, ALTER COLUMN j SET STORAGE EXTERNAL;
ALTER TABLE shop.bill CLUSTER ON bill_key;
ALTER TABLE shop.bill REPLICA IDENTITY FULL;
ALTER TABLE shop.bill SET (fillfactor = 70, autovacuum_enabled = false);

CREATE INDEX bill_by_time ON shop.bill (at DESC NULLS LAST, i2) INCLUDE (paid) WHERE paid AND f8 > 0.5;
CREATE UNIQUE INDEX customer_by_sound ON shop.customer (lower(name) text_pattern_ops, (born + 1) DESC);
CREATE INDEX bill_by_net ON shop.bill USING hash (net);
COMMENT ON INDEX shop.bill_by_time IS 'for reports';

CREATE TABLE "Odd ""names"""."Table with spaces" ("Column ""1""" integer NOT NULL, "SELECT" text DEFAULT E'a\\b''c\nd');
CREATE TABLE public.empty ();
CREATE UNLOGGED TABLE public.passing (x integer);
CREATE TABLE public.holes (a integer, gone text, b integer DEFAULT 5, c integer DEFAULT nextval('shop.free_running'));
ALTER TABLE public.holes DROP COLUMN gone;
ALTER SEQUENCE shop.never_used OWNED BY shop.bill.i2;

CREATE VIEW shop.owing AS
    SELECT c.id, c.name, count(b.number) AS bills, sum(b.exact) FILTER (WHERE NOT b.paid) AS owed
    FROM shop.customer c LEFT JOIN shop.bill b ON b.of_customer = c.id
    WHERE c.name <> '' GROUP BY c.id HAVING count(*) > 0 ORDER BY 4 DESC NULLS LAST, 2;
CREATE VIEW shop.open_bills WITH (security_barrier = true) AS
    SELECT number, of_customer, paid FROM shop.bill WHERE NOT paid WITH LOCAL CHECK OPTION;
CREATE VIEW shop.over_view AS
    WITH RECURSIVE chain(number, depth) AS (
        SELECT number, 1 FROM shop.open_bills
        UNION ALL
        SELECT b.number, chain.depth + 1 FROM shop.bill b JOIN chain ON b.replaces = chain.number
    )
    SELECT depth, array_agg(number ORDER BY number) AS numbers,
           CASE WHEN depth > 1 THEN 'later' ELSE 'first' END AS kind
    FROM chain WHERE depth < 10 GROUP BY depth;
COMMENT ON VIEW shop.owing IS 'to be asked';
ALTER VIEW shop.open_bills ALTER COLUMN paid SET DEFAULT true;
CREATE MATERIALIZED VIEW shop.totals AS SELECT paid, count(*) AS n FROM shop.bill GROUP BY paid;
CREATE UNIQUE INDEX totals_by_paid ON shop.totals (paid);
CREATE MATERIALIZED VIEW shop.unfilled AS SELECT name FROM shop.owing WITH NO DATA;

CREATE ROLE dump_reader NOLOGIN;
CREATE ROLE dump_owner NOLOGIN;
GRANT USAGE ON SCHEMA shop TO dump_reader;
GRANT SELECT ON shop.customer, shop.owing TO dump_reader WITH GRANT OPTION;
GRANT UPDATE (email, name) ON shop.customer TO dump_reader;
GRANT USAGE ON SEQUENCE shop.free_running TO PUBLIC;
REVOKE ALL ON TYPE shop.size FROM PUBLIC;
GRANT USAGE ON TYPE shop.size TO dump_reader;
ALTER DEFAULT PRIVILEGES IN SCHEMA shop GRANT SELECT ON TABLES TO dump_reader;
ALTER TABLE public.holes OWNER TO dump_owner;
REVOKE CREATE ON SCHEMA public FROM pg_database_owner;

INSERT INTO shop.customer (name, email, lives, wears, all_sizes, limit_of, tags, born, seen) VALUES
    ('Ada', 'ada@example.org', ROW('Main "St", 1', 7, NULL, 'huge'), 'small', '{small,"it''s medium"}', 12.5, '{a,"b c",NULL,"d\\e"}', '1915-12-10', '2024-01-01 00:00:00+00'),
    (E'tab\there\nnewline \\ backslash', NULL, NULL, NULL, NULL, DEFAULT, '{}', '2000-02-29', NULL),
    ('', 'nobody@example.org', ROW('', NULL, '', NULL), 'it''s medium', '{}', 999999.99, '{{1,2},{3,4}}', NULL, 'infinity');
INSERT INTO shop.bill (of_customer, replaces, paid, at, took, u, b, j, jb, f4, f8, i2, c, bits, vb, t, tz, i, net, mac, costs, plain, exact)
SELECT 100 + 10 * (n % 3), CASE WHEN n = 3 THEN 1 END, n % 2 = 0, timestamp '2024-02-29 12:00:00.123456' + n * interval '1 hour', n * interval '1 day 2:03:04.5678',
       '00000000-0000-4000-8000-000000000001', decode(repeat('00ff5c', n), 'hex'), '{"a" :  1,"a":2}', '{"b": [1, 2.50, null], "a": "x"}',
       n / 3.0, 1e15 / n, n, 'ab', B'1010', B'101', '23:59:59.96', '01:02:03+05:30', '10.0.0.1/8', '10.0.0.0/8',
       '08:00:2b:01:02:03', 12.34, n::numeric / 7, n * 1.001
FROM generate_series(1, 5) AS n;
INSERT INTO shop.bill (f8, plain) VALUES ('-Infinity', 'NaN');
INSERT INTO "Odd ""names"""."Table with spaces" VALUES (1, DEFAULT), (2, NULL), (3, '\.');
INSERT INTO public.holes (a) VALUES (1), (2);
INSERT INTO public.passing VALUES (1);
REFRESH MATERIALIZED VIEW shop.totals;

CREATE EXTENSION pgcrypto WITH SCHEMA shop;
CREATE FUNCTION shop.doubled(what integer, times integer DEFAULT 2) RETURNS integer
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$ select what * times -- "quoted"
$$;
COMMENT ON FUNCTION shop.doubled(integer, integer) IS 'by as many times';
CREATE FUNCTION shop.named(OUT first text, OUT second integer) RETURNS SETOF record
    LANGUAGE sql SECURITY DEFINER COST 7 ROWS 3
    SET search_path TO 'shop', 'pg_catalog'
    AS 'values (''a'', 1), (''b'', 2)';
CREATE FUNCTION shop.any_number(VARIADIC given numeric[]) RETURNS TABLE(one numeric)
    LANGUAGE sql STABLE BEGIN ATOMIC
    SELECT it FROM unnest(given) it ORDER BY it;
END;
CREATE FUNCTION shop.plus_one(integer) RETURNS integer LANGUAGE sql RETURN $1 + 1;
CREATE PROCEDURE shop.nothing_much(IN a integer, INOUT b text DEFAULT 'x')
    LANGUAGE sql AS 'select b || a';
CREATE VIEW shop.calculated AS SELECT shop.doubled(3) AS six, shop.plus_one(4) AS five;
