"""What inspection and reflection find of tables that SQLAlchemy made, and of hand-written ones."""

import sqlalchemy as sa
from sqlalchemy import Column, ForeignKey, MetaData, Table, inspect
from sqlalchemy.dialects import postgresql as pg
from support import Asyncpg, Case


class Reflection(Case):
    def make(self):
        parent = Table(
            "parent",
            self.metadata,
            Column("a", sa.Integer, primary_key=True, autoincrement=False),
            Column("b", sa.String(20), primary_key=True),
            Column("score", sa.Numeric(8, 3), server_default=sa.text("1.5"), comment="how good"),
            Column("state", sa.Enum("on", "off", name="state"), nullable=False),
            Column("twice", sa.Numeric, sa.Computed("score * 2", persisted=True)),
            sa.UniqueConstraint("score", "state", name="one_score", postgresql_include=["twice"]),
            sa.CheckConstraint("score > 0", name="good"),
            comment="it's the parent",
        )
        child = Table(
            "child",
            self.metadata,
            Column("id", sa.BigInteger, sa.Identity(always=True, start=5, increment=2), primary_key=True),
            Column("pa", sa.Integer),
            Column("pb", sa.String(20)),
            Column("tags", pg.ARRAY(sa.Text)),
            Column("doc", pg.JSONB),
            Column("seen", sa.DateTime(timezone=True), server_default=sa.func.now()),
            Column("span", pg.INTERVAL(precision=2)),
            Column("flag", sa.Boolean, server_default=sa.false(), nullable=False),
            sa.ForeignKeyConstraint(
                ["pa", "pb"], ["parent.a", "parent.b"], "to_parent", onupdate="CASCADE", ondelete="SET NULL"
            ),
        )
        sa.Index("by_parent", child.c.pa, child.c.pb.desc())
        sa.Index("by_lower", sa.func.lower(child.c.pb), unique=True)
        sa.Index(
            "flagged",
            child.c.seen,
            postgresql_where=child.c.flag,
            postgresql_include=["pa"],
        )
        self.metadata.create_all(self.engine)
        return parent, child

    def test_names(self):
        self.make()
        with self.engine.begin() as conn:
            conn.execute(sa.text("CREATE VIEW v AS SELECT a FROM parent"))
            conn.execute(sa.text("CREATE MATERIALIZED VIEW m AS SELECT b FROM parent"))
            conn.execute(sa.text("CREATE SEQUENCE numbers"))
            conn.execute(sa.text("CREATE TEMP TABLE temporary (i int)"))
            found = inspect(conn)
            self.assertEqual(sorted(found.get_table_names()), ["child", "parent"])
            self.assertEqual(found.get_view_names(), ["v"])
            self.assertEqual(found.get_materialized_view_names(), ["m"])
            self.assertIn("numbers", found.get_sequence_names())
            self.assertEqual(found.get_temp_table_names(), ["temporary"])
            self.assertTrue({"public", "information_schema", self.schema} <= set(found.get_schema_names()))
            self.assertTrue(found.has_table("parent") and found.has_table("v"))
            self.assertFalse(found.has_table("nothing"))
            self.assertTrue(found.has_sequence("numbers"))
            self.assertTrue(found.has_index("child", "flagged"))
            self.assertIn("SELECT", found.get_view_definition("v"))

    def test_columns(self):
        self.make()
        parent = {c["name"]: c for c in inspect(self.engine).get_columns("parent")}
        self.assertEqual(list(parent), ["a", "b", "score", "state", "twice"])
        self.assertEqual(
            [repr(c["type"]) for c in parent.values()],
            [
                "INTEGER()",
                "VARCHAR(length=20)",
                "NUMERIC(precision=8, scale=3)",
                "ENUM('on', 'off', name='state')",
                "NUMERIC()",
            ],
        )
        self.assertEqual([c["nullable"] for c in parent.values()], [False, False, True, False, True])
        self.assertEqual(parent["score"]["default"], "1.5")
        self.assertEqual(parent["score"]["comment"], "how good")
        computed = parent["twice"]["computed"]
        self.assertEqual(computed, {"sqltext": "(score * (2)::numeric)", "persisted": True})
        child = {c["name"]: c for c in inspect(self.engine).get_columns("child")}
        self.assertEqual(
            {k: child["id"]["identity"][k] for k in ("always", "start", "increment", "cycle")},
            {"always": True, "start": 5, "increment": 2, "cycle": False},
        )
        self.assertEqual(repr(child["tags"]["type"]), "ARRAY(TEXT())")
        self.assertEqual(repr(child["seen"]["type"]), "TIMESTAMP(timezone=True)")
        self.assertEqual(repr(child["span"]["type"]), "INTERVAL(precision=2)")
        self.assertEqual((child["seen"]["default"], child["flag"]["default"]), ("now()", "false"))

    def test_constraints(self):
        self.make()
        found = inspect(self.engine)
        key = found.get_pk_constraint("parent")
        self.assertEqual((key["name"], key["constrained_columns"]), ("parent_pkey", ["a", "b"]))
        (unique,) = found.get_unique_constraints("parent")
        self.assertEqual((unique["name"], unique["column_names"]), ("one_score", ["score", "state"]))
        (check,) = found.get_check_constraints("parent")
        self.assertEqual((check["name"], check["sqltext"]), ("good", "score > 0::numeric"))
        (foreign,) = found.get_foreign_keys("child")
        self.assertEqual(
            foreign,
            {
                "name": "to_parent",
                "constrained_columns": ["pa", "pb"],
                "referred_schema": None,
                "referred_table": "parent",
                "referred_columns": ["a", "b"],
                "options": {"onupdate": "CASCADE", "ondelete": "SET NULL"},
                "comment": None,
            },
        )
        self.assertEqual(found.get_table_comment("parent"), {"text": "it's the parent"})
        self.assertEqual(found.get_table_comment("child"), {"text": None})

    def test_indexes(self):
        self.make()
        found = {index["name"]: index for index in inspect(self.engine).get_indexes("child")}
        self.assertEqual(sorted(found), ["by_lower", "by_parent", "flagged"])
        self.assertEqual(found["by_parent"]["column_names"], ["pa", "pb"])
        self.assertEqual(found["by_parent"]["column_sorting"], {"pb": ("desc",)})
        self.assertTrue(found["by_lower"]["unique"])
        self.assertEqual(found["by_lower"]["expressions"], ["lower(pb::text)"])
        options = found["flagged"]["dialect_options"]
        self.assertEqual(options["postgresql_where"], "flag")
        self.assertEqual(options["postgresql_include"], ["pa"])

    def test_enums_and_domains(self):
        self.make()
        with self.engine.begin() as conn:
            conn.execute(
                sa.text("CREATE DOMAIN positive AS int DEFAULT 1 NOT NULL CONSTRAINT above CHECK (VALUE > 0)")
            )
            found = inspect(conn)
            (state,) = found.get_enums()
            self.assertEqual((state["name"], state["labels"]), ("state", ["on", "off"]))
            (domain,) = found.get_domains()
            self.assertEqual(
                {k: domain[k] for k in ("name", "type", "nullable", "default", "constraints")},
                {
                    "name": "positive",
                    "type": "integer",
                    "nullable": False,
                    "default": "1",
                    "constraints": [{"name": "above", "check": "VALUE > 0"}],
                },
            )

    def test_a_reflected_schema_made_again(self):
        self.make()
        reflected = MetaData()
        with self.engine.begin() as conn:
            reflected.reflect(conn, views=False)
        self.assertEqual(sorted(reflected.tables), ["child", "parent"])
        child = reflected.tables["child"]
        self.assertEqual(sorted(i.name for i in child.indexes), ["by_lower", "by_parent", "flagged"])
        with self.engine.begin() as conn:
            self.metadata.drop_all(conn)
            reflected.create_all(conn)
            again = MetaData()
            again.reflect(conn)
            self.assertEqual(
                [repr(c.type) for c in again.tables["child"].columns],
                [repr(c.type) for c in child.columns],
            )
            conn.execute(
                sa.insert(again.tables["parent"]), {"a": 1, "b": "x", "state": "on"}
            )
            made = conn.execute(
                sa.insert(again.tables["child"]).returning(sa.literal_column("id")),
                {"pa": 1, "pb": "x"},
            )
            self.assertEqual(made.scalar(), 5)

    def test_another_schema(self):
        self.make()
        other = MetaData(schema=self.schema)
        with self.engine.begin() as conn:
            conn.execute(sa.text("SET LOCAL search_path = public"))
            table = Table("child", other, autoload_with=conn)
            (key,) = (c for c in table.constraints if isinstance(c, sa.ForeignKeyConstraint))
            self.assertEqual(key.referred_table.fullname, f"{self.schema}.parent")
            self.assertEqual(sorted(other.tables), [f"{self.schema}.child", f"{self.schema}.parent"])

    def test_missing_tables(self):
        with self.assertRaises(sa.exc.NoSuchTableError):
            inspect(self.engine).get_columns("nothing")
        with self.assertRaises(sa.exc.NoSuchTableError):
            Table("nothing", MetaData(), autoload_with=self.engine)


class ReflectionByAsyncpg(Asyncpg, Reflection):
    """The same over asyncpg."""
