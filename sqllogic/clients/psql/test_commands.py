"""psql's commands, which read the catalogs: what they print, character by character."""

import unittest

import support

SCHEMA = "psql_commands"


class Commands(unittest.TestCase):
    """Over one schema with a bit of everything."""

    maxDiff = None

    @classmethod
    def setUpClass(cls):
        support.fresh(SCHEMA)
        cls.addClassCleanup(support.drop, SCHEMA)

    def prints(self, script, expected, *arguments):
        """What a script prints; blanks at the ends of lines do not count."""
        shown, expected = (
            [line.strip() for line in text.strip("\n").split("\n")]
            for text in (support.psql(script, SCHEMA, *arguments), expected)
        )
        self.assertEqual(shown, expected, script)

    def test_a_table_is_described(self):
        self.prints(r"\d orders", """
                                Table "psql_commands.orders"
   Column   |     Type      | Collation | Nullable |           Default
------------+---------------+-----------+----------+------------------------------
 id         | integer       |           | not null | generated always as identity
 customer   | integer       |           |          |
 total      | numeric(10,2) |           |          |
 Mixed Case | text          |           |          |
Indexes:
    "orders_pkey" PRIMARY KEY, btree (id)
    "orders_customer" btree (customer)
    "orders_total" UNIQUE, btree (total DESC) WHERE total > 10::numeric
Check constraints:
    "worth" CHECK (total > 0::numeric)
Foreign-key constraints:
    "orders_customer_fkey" FOREIGN KEY (customer) REFERENCES customer(id)
""")
        self.prints(r"\d+ big", """
                              View "psql_commands.big"
 Column |     Type      | Collation | Nullable | Default | Storage | Description
--------+---------------+-----------+----------+---------+---------+-------------
 id     | integer       |           |          |         | plain   |
 total  | numeric(10,2) |           |          |         | main    |
View definition:
 SELECT orders.id,
    orders.total
   FROM orders
  WHERE orders.total > 100::numeric;
""")
        self.prints(r"\d pair", """
       Composite type "psql_commands.pair"
 Column |  Type   | Collation | Nullable | Default
--------+---------+-----------+----------+---------
 a      | integer |           |          |
 b      | text    |           |          |
""")

    def test_relations_are_listed(self):
        self.prints("\\x \\\\ \\dt", """
Expanded display is on.
List of relations
-[ RECORD 1 ]---------
Schema | psql_commands
Name   | customer
Type   | table
Owner  | postgres
-[ RECORD 2 ]---------
Schema | psql_commands
Name   | orders
Type   | table
Owner  | postgres
""")
        self.prints(r"\di", """
                        List of relations
    Schema     |      Name       | Type  |  Owner   |  Table
---------------+-----------------+-------+----------+----------
 psql_commands | customer_pkey   | index | postgres | customer
 psql_commands | orders_customer | index | postgres | orders
 psql_commands | orders_pkey     | index | postgres | orders
 psql_commands | orders_total    | index | postgres | orders
(4 rows)
""")
        self.prints("\\dT\n\\dD", """
         List of data types
    Schema     |   Name   | Description
---------------+----------+-------------
 psql_commands | mood     |
 psql_commands | pair     |
 psql_commands | positive |
(3 rows)

                                   List of domains
    Schema     |   Name   |  Type   | Collation | Nullable | Default |       Check
---------------+----------+---------+-----------+----------+---------+-------------------
 psql_commands | positive | integer |           |          |         | CHECK (VALUE > 0)
(1 row)
""")
        self.prints(r"\d nowhere", 'Did not find any relation named "nowhere".')

    def test_results_are_described_and_turned(self):
        self.prints(r"SELECT id, total, NULL AS n, now(), '{1}'::int[] AS a FROM orders \gdesc", """
 Column |           Type
--------+--------------------------
 id     | integer
 total  | numeric(10,2)
 n      | text
 now    | timestamp with time zone
 a      | integer[]
(5 rows)
""")
        self.prints(r"SELECT customer, id, total FROM orders ORDER BY 1, 2 \crosstabview", """
 customer |   1   |   2    |  3
----------+-------+--------+------
        1 | 12.00 | 120.00 |
        2 |       |        | 7.50
(2 rows)
""")
        self.prints("SELECT name AS who FROM customer WHERE id = 1 \\gset\n\\echo :who", "Ann")
        self.prints("SELECT 'SELECT ' || id FROM customer ORDER BY id \\gexec", "1\n2", "-At")
        self.prints("\\set FETCH_COUNT 2\nSELECT g FROM generate_series(1, 5) g", "1\n2\n3\n4\n5", "-At")
        self.prints("SELECT 1 \\; SELECT 2;", "1\n2", "-At")

    def test_rows_are_copied(self):
        self.prints(r"\copy (SELECT id, name FROM customer ORDER BY id) TO STDOUT (FORMAT csv, HEADER)", """
id,name
1,Ann
2,Bob
""")
        self.prints("CREATE TEMP TABLE c (a int, b text);\n\\copy c FROM STDIN\n1\tx\n2\t\\N\n\\.\nTABLE c;", """
CREATE TABLE
COPY 2
1|x
2|
""", "-At")

    def test_a_query_is_watched(self):
        # It goes on until something fails.
        script = "CREATE TEMP TABLE w (n int);\nINSERT INTO w SELECT 1 RETURNING 10 / (2 - (SELECT count(*) FROM w)) \\watch 0.01"
        shown = support.psql(script, SCHEMA, "-At")
        self.assertEqual(shown.split("\n")[:2], ["CREATE TABLE", "5"], shown)
        self.assertIn("division by zero", shown)

    def test_errors_are_shown_where_they_are(self):
        self.prints("SELECT nothing FROM orders;", """
ERROR:  column "nothing" does not exist
LINE 1: SELECT nothing FROM orders;
               ^
""")
        self.prints("\\set ON_ERROR_ROLLBACK on\nBEGIN;\nSELECT 1/0;\nSELECT 2;\nCOMMIT;", """
BEGIN
ERROR:  division by zero
2
COMMIT
""", "-At")


if __name__ == "__main__":
    unittest.main()
