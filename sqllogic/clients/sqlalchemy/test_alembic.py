"""Alembic: operations of migrations, autogeneration, DDL that is rolled back, upgrades and downgrades."""

import tempfile
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Column, MetaData, Table, inspect
from sqlalchemy.dialects import postgresql as pg
from support import Case

ENVIRONMENT = """
from alembic import context
connection = context.config.attributes["connection"]
metadata = context.config.attributes["metadata"]
context.configure(connection=connection, target_metadata=metadata, compare_server_default=True)
with context.begin_transaction():
    context.run_migrations()
"""

TEMPLATE = '''
"""${message}"""
from alembic import op
import sqlalchemy as sa
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
def upgrade():
    ${upgrades if upgrades else "pass"}
def downgrade():
    ${downgrades if downgrades else "pass"}
'''


class Migrations(Case):
    def operate(self, *steps):
        """Runs functions of an `Operations` in one transaction."""
        with self.engine.begin() as conn:
            op = Operations(MigrationContext.configure(conn))
            for step in steps:
                step(op)

    def columns(self, table="t"):
        """The columns of a table: name, type, whether NULL may be, default."""
        return {
            c["name"]: (str(c["type"]), c["nullable"], c["default"])
            for c in inspect(self.engine).get_columns(table)
        }

    def test_operations(self):
        self.operate(
            lambda op: op.create_table(
                "t",
                Column("id", sa.Integer, primary_key=True),
                Column("n", sa.String(10)),
                Column("state", sa.String(5), server_default="new"),
            ),
            lambda op: op.bulk_insert(
                sa.table("t", sa.column("n"), sa.column("state")),
                [{"n": "1", "state": "new"}, {"n": "22", "state": "old"}],
            ),
            lambda op: op.alter_column(
                "t", "n", type_=sa.BigInteger(), postgresql_using="n::bigint", nullable=False
            ),
            lambda op: op.alter_column("t", "state", server_default=None, new_column_name="status"),
            lambda op: op.add_column(
                "t", Column("tags", pg.ARRAY(sa.Text), server_default="{}", nullable=False)
            ),
            lambda op: op.create_check_constraint("n_positive", "t", "n > 0"),
            lambda op: op.create_unique_constraint("n_once", "t", ["n", "status"]),
            lambda op: op.create_index("by_status", "t", ["status", sa.text("n DESC")]),
            lambda op: op.create_table_comment("t", "counted"),
            lambda op: op.alter_column("t", "n", comment="how many"),
        )
        self.assertEqual(
            self.columns(),
            {
                "id": ("INTEGER", False, "nextval('t_id_seq'::regclass)"),
                "n": ("BIGINT", False, None),
                "status": ("VARCHAR(5)", True, None),
                "tags": ("ARRAY", False, "'{}'::text[]"),
            },
        )
        self.assertEqual(
            self.rows(sa.text("SELECT n, status, tags FROM t ORDER BY id")),
            [(1, "new", []), (22, "old", [])],
        )
        self.operate(
            lambda op: op.drop_index("by_status"),
            lambda op: op.drop_constraint("n_once", "t"),
            lambda op: op.drop_column("t", "tags"),
            lambda op: op.rename_table("t", "u"),
            lambda op: op.create_table(
                "child",
                Column("u_id", sa.Integer),
            ),
            lambda op: op.create_foreign_key(
                "child_u", "child", "u", ["u_id"], ["id"], ondelete="CASCADE"
            ),
            lambda op: op.execute("INSERT INTO child SELECT id FROM u"),
        )
        self.fails(sa.exc.IntegrityError, "23514", sa.text("UPDATE u SET n = -n"))
        self.rows(sa.text("DELETE FROM u WHERE n = 1 RETURNING id"))
        self.assertEqual(self.rows(sa.text("SELECT count(*) FROM child")), [(1,)])

    def test_batches_of_operations(self):
        self.operate(
            lambda op: op.create_table("t", Column("a", sa.Integer), Column("b", sa.Text))
        )
        with self.engine.begin() as conn:
            op = Operations(MigrationContext.configure(conn))
            with op.batch_alter_table("t") as batch:
                batch.add_column(Column("c", sa.Date, server_default=sa.func.current_date()))
                batch.alter_column("a", type_=sa.Numeric(10, 2), nullable=False)
                batch.drop_column("b")
                batch.create_primary_key("t_key", ["a"])
        self.assertEqual(
            self.columns(),
            {"a": ("NUMERIC(10, 2)", False, None), "c": ("DATE", True, "CURRENT_DATE")},
        )
        self.assertEqual(inspect(self.engine).get_pk_constraint("t")["name"], "t_key")

    def test_enums(self):
        state = sa.Enum("open", "shut", name="state")
        self.operate(
            lambda op: op.create_table("t", Column("state", state, server_default="open")),
            lambda op: op.execute("INSERT INTO t DEFAULT VALUES"),
        )
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            op = Operations(MigrationContext.configure(conn))
            op.execute("ALTER TYPE state ADD VALUE IF NOT EXISTS 'ajar' BEFORE 'shut'")
        self.assertEqual(inspect(self.engine).get_enums()[0]["labels"], ["open", "ajar", "shut"])
        newer = sa.Enum("open", "closed", name="state_2")
        self.operate(
            lambda op: newer.create(op.get_bind()),
            lambda op: op.alter_column("t", "state", server_default=None),
            lambda op: op.alter_column(
                "t", "state", type_=newer, postgresql_using="state::text::state_2"
            ),
            lambda op: op.alter_column("t", "state", server_default="closed"),
            lambda op: state.drop(op.get_bind()),
            lambda op: op.execute("ALTER TYPE state_2 RENAME TO state"),
            lambda op: op.execute("INSERT INTO t DEFAULT VALUES"),
        )
        self.assertEqual(self.rows(sa.text("SELECT state FROM t")), [("open",), ("closed",)])

    def test_a_failed_migration_leaves_nothing(self):
        with self.assertRaises(sa.exc.DBAPIError):
            self.operate(
                lambda op: op.create_table("t", Column("a", sa.Enum("x", name="gone"))),
                lambda op: op.create_index("by_a", "t", ["a"]),
                lambda op: op.execute("SELECT 1/0"),
            )
        found = inspect(self.engine)
        self.assertEqual((found.get_table_names(), found.get_enums()), ([], []))

    def models(self, later):
        metadata = MetaData()
        Table(
            "account",
            metadata,
            Column("id", sa.BigInteger, primary_key=True),
            Column("email", sa.String(200 if later else 100), nullable=False, unique=True),
            Column("level", sa.Integer, server_default="1" if later else None),
            Column("state", sa.Enum("on", "off", name="account_state"), nullable=later),
            Column("made", sa.DateTime(timezone=True), server_default=sa.func.now(), index=later),
            *([Column("note", pg.JSONB)] if later else [Column("old", sa.Text)]),
        )
        if later:
            Table(
                "login",
                metadata,
                Column("id", sa.Uuid, primary_key=True, server_default=sa.func.gen_random_uuid()),
                Column("account_id", sa.ForeignKey("account.id", ondelete="CASCADE"), index=True),
                Column("span", sa.Interval),
                sa.CheckConstraint("span > '0'", name="forwards"),
            )
        return metadata

    def differences(self, metadata):
        with self.engine.connect() as conn:
            options = {"compare_server_default": True, "compare_type": True}
            context = MigrationContext.configure(conn, opts=options)
            found = compare_metadata(context, metadata)
        # What has changed of one column comes as a list of its own.
        flat = [part for it in found for part in (it if isinstance(it, list) else [it])]
        return sorted(it[0] for it in flat if "alembic_version" not in str(it))

    def test_autogeneration(self):
        before, after = self.models(later=False), self.models(later=True)
        before.create_all(self.engine)
        self.assertEqual(self.differences(before), [])
        self.assertEqual(
            self.differences(after),
            [
                "add_column",
                "add_index",
                "add_index",
                "add_table",
                "modify_default",
                "modify_nullable",
                "modify_type",
                "remove_column",
            ],
        )
        after.drop_all(self.engine)
        after.create_all(self.engine)
        self.assertEqual(self.differences(after), [])

    def test_revisions_up_and_down(self):
        with tempfile.TemporaryDirectory() as folder:
            scripts = Path(folder)
            (scripts / "versions").mkdir()
            (scripts / "env.py").write_text(ENVIRONMENT)
            (scripts / "script.py.mako").write_text(TEMPLATE)
            config = Config()
            config.set_main_option("script_location", folder)
            config.set_main_option("path_separator", "os")

            def alembic(what, *arguments, later=False, **named):
                with self.engine.connect() as conn:
                    config.attributes["connection"] = conn
                    config.attributes["metadata"] = self.models(later)
                    what(config, *arguments, **named)
                    conn.commit()

            alembic(command.revision, "first", autogenerate=True, rev_id="one")
            alembic(command.upgrade, "head")
            alembic(command.revision, "second", autogenerate=True, rev_id="two", later=True)
            alembic(command.upgrade, "head")
            version = sa.text("SELECT version_num FROM alembic_version")
            self.assertEqual(self.rows(version), [("two",)])
            self.assertEqual(self.differences(self.models(later=True)), [])
            alembic(command.downgrade, "one")
            self.assertEqual(self.rows(version), [("one",)])
            self.assertEqual(self.differences(self.models(later=False)), [])
            alembic(command.downgrade, "base")
            self.assertEqual(inspect(self.engine).get_table_names(), ["alembic_version"])
