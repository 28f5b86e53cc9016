"""SQLAlchemy Core over psycopg and asyncpg: types, RETURNING, upserts, expressions, transactions."""

import datetime as dt
import enum
import uuid
from decimal import Decimal

import sqlalchemy as sa
from sqlalchemy import Column, ForeignKey, Table, func, select
from sqlalchemy.dialects import postgresql as pg
from support import Asyncpg, Case


class Mood(enum.Enum):
    SAD = "sad"
    HAPPY = "happy"


class Types(Case):
    def test_values_of_all_types_come_back(self):
        moment = dt.datetime(2024, 2, 29, 12, 30, 1, 234567, tzinfo=dt.timezone.utc)
        ident = uuid.UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8")
        types = {
            "small": (sa.SmallInteger(), -32768),
            "big": (sa.BigInteger(), 2**63 - 1),
            "exact": (sa.Numeric(30, 10), Decimal("12345678901234567890.0123456789")),
            "approximate": (sa.Numeric(8, 2, asdecimal=False), 1.25),
            "real": (sa.Float(), 0.1),
            "double": (sa.Double(), 1e300),
            "word": (sa.String(20), "zwölf % %s :x"),
            "long": (sa.Text(), "x" * 10_000),
            "yes": (sa.Boolean(), True),
            "day": (sa.Date(), moment.date()),
            "clock": (sa.Time(), moment.time()),
            "naive": (sa.DateTime(), moment.replace(tzinfo=None)),
            "aware": (sa.DateTime(timezone=True), moment),
            "span": (sa.Interval(), dt.timedelta(days=-3, seconds=5)),
            "ident": (sa.Uuid(), ident),
            "bytes": (sa.LargeBinary(), bytes(range(256))),
            "mood": (sa.Enum(Mood), Mood.HAPPY),
            "doc": (sa.JSON(), {"a": [1, None, "ü"]}),
            "docb": (pg.JSONB(), [1.5, {"x": True}]),
            "numbers": (pg.ARRAY(sa.Integer), [1, None, 3]),
            "table_of": (pg.ARRAY(sa.Text, dimensions=2), [["a", "b"], ["c", 'd"']]),
            "idents": (pg.ARRAY(sa.Uuid), [ident]),
            "moods": (pg.ARRAY(sa.Enum(Mood)), [Mood.SAD, Mood.HAPPY]),
            "mac": (pg.MACADDR(), "08:00:2b:01:02:03"),
            "bits": (pg.OID(), 4_000_000_000),
        }
        columns = [Column(name, type_) for name, (type_, _) in types.items()]
        table = Table("t", self.metadata, Column("id", sa.Integer, primary_key=True), *columns)
        self.metadata.create_all(self.engine)
        values = {name: value for name, (_, value) in types.items()}
        self.rows(table.insert().returning(table.c.id), [{"id": 1, **values}])
        self.rows(table.insert().returning(table.c.id), [{"id": 2}])
        with self.engine.connect() as conn:
            full, empty = conn.execute(select(table).order_by(table.c.id)).mappings()
        self.assertEqual(dict(full), {"id": 1, **values})
        self.assertEqual(dict(empty), {"id": 2, **dict.fromkeys(values)})
        for name, value in values.items():
            # json has no equality.
            if name != "doc":
                with self.subTest(type=name):
                    found = self.rows(select(table.c.id).where(table.c[name] == value))
                    self.assertEqual(found, [(1,)])
        self.metadata.drop_all(self.engine)
        self.assertEqual(sa.inspect(self.engine).get_table_names(), [])

    def test_elements_and_documents(self):
        table = Table(
            "t",
            self.metadata,
            Column("id", sa.Integer, primary_key=True),
            Column("tags", pg.ARRAY(sa.Text)),
            Column("doc", pg.JSONB),
        )
        self.metadata.create_all(self.engine)
        with self.engine.begin() as conn:
            conn.execute(
                table.insert(),
                [
                    {"id": 1, "tags": ["a", "b"], "doc": {"n": 1, "in": {"x": [10, 20]}}},
                    {"id": 2, "tags": [], "doc": {"n": 2, "s": "text"}},
                    {"id": 3, "tags": None, "doc": None},
                ],
            )

        def ids(condition):
            return [i for (i,) in self.rows(select(table.c.id).where(condition).order_by("id"))]

        self.assertEqual(ids(table.c.tags.contains(["a"])), [1])
        self.assertEqual(ids(table.c.tags.overlap(["b", "z"])), [1])
        self.assertEqual(ids(table.c.tags.any("b")), [1])
        self.assertEqual(ids(table.c.tags[2] == "b"), [1])
        self.assertEqual(ids(func.cardinality(table.c.tags) == 0), [2])
        self.assertEqual(ids(table.c.doc["n"].as_integer() == 2), [2])
        self.assertEqual(ids(table.c.doc["in"]["x"][1].as_integer() == 20), [1])
        self.assertEqual(ids(table.c.doc[("in", "x", "0")].astext == "10"), [1])
        self.assertEqual(ids(table.c.doc.contains({"n": 1})), [1])
        self.assertEqual(ids(table.c.doc.has_key("s")), [2])
        self.assertEqual(ids(table.c.doc.has_any(pg.array(["s", "in"]))), [1, 2])
        # None in a JSON column is JSON's null.
        self.assertEqual(ids(func.jsonb_typeof(table.c.doc) == "null"), [3])
        with self.engine.begin() as conn:
            conn.execute(
                table.update()
                .where(table.c.id == 1)
                .values(doc=func.jsonb_set(table.c.doc, ["in", "x"], sa.cast([1], pg.JSONB)))
            )
        self.assertEqual(
            self.rows(select(table.c.doc).where(table.c.id == 1)), [({"n": 1, "in": {"x": [1]}},)]
        )


class Statements(Case):
    def setUp(self):
        super().setUp()
        self.people = Table(
            "people",
            self.metadata,
            Column("id", sa.Integer, sa.Identity(), primary_key=True),
            Column("name", sa.String(50), nullable=False, unique=True),
            Column("age", sa.Integer, sa.CheckConstraint("age >= 0", name="age_positive")),
            Column("made", sa.DateTime(timezone=True), server_default=func.now()),
        )
        self.pets = Table(
            "pets",
            self.metadata,
            Column("id", sa.BigInteger, primary_key=True),
            Column("owner_id", ForeignKey("people.id", ondelete="CASCADE")),
            Column("name", sa.Text),
        )
        self.metadata.create_all(self.engine)

    def test_many_rows_and_what_they_got(self):
        names = [f"n{i}" for i in range(2500)]
        with self.engine.begin() as conn:
            got = conn.execute(
                self.people.insert().returning(
                    self.people.c.id, self.people.c.name, sort_by_parameter_order=True
                ),
                [{"name": name, "age": at} for at, name in enumerate(names)],
            ).all()
        self.assertEqual([row.name for row in got], names)
        self.assertEqual(len({row.id for row in got}), 2500)
        with self.engine.begin() as conn:
            result = conn.execute(self.pets.insert(), {"name": "rex", "owner_id": got[0].id})
            self.assertEqual(result.inserted_primary_key, (1,))
            result = conn.execute(
                self.people.update().where(self.people.c.age < 10).values(age=self.people.c.age + 1)
            )
            self.assertEqual(result.rowcount, 10)

    def test_upserts(self):
        insert = pg.insert(self.people)
        upsert = insert.on_conflict_do_update(
            index_elements=[self.people.c.name],
            set_={"age": insert.excluded.age + func.coalesce(self.people.c.age, 0)},
            where=insert.excluded.age > 0,
        ).returning(self.people.c.id, self.people.c.age)
        first = self.rows(upsert, {"name": "a", "age": 1})
        self.assertEqual(self.rows(upsert, {"name": "a", "age": 2}), [(first[0][0], 3)])
        self.assertEqual(self.rows(upsert, {"name": "a", "age": 0}), [])
        nothing = insert.on_conflict_do_nothing(constraint="people_name_key")
        with self.engine.begin() as conn:
            conn = conn.execution_options(preserve_rowcount=True)
            self.assertEqual(conn.execute(nothing, {"name": "a", "age": 9}).rowcount, 0)

    def test_returning(self):
        self.rows(self.people.insert().returning(self.people.c.id), [{"name": "a", "age": 5}])
        updated = self.people.update().values(age=6).returning(self.people.c.age, self.people.c.name)
        self.assertEqual(self.rows(updated), [(6, "a")])
        deleted = self.people.delete().returning(sa.literal("gone"), self.people.c.name)
        self.assertEqual(self.rows(deleted), [("gone", "a")])

    def fill(self):
        with self.engine.begin() as conn:
            people = [("a", 10), ("b", 20), ("c", 20), ("d", None)]
            conn.execute(
                self.people.insert(),
                [{"id": i + 1, "name": n, "age": a} for i, (n, a) in enumerate(people)],
            )
            conn.execute(
                self.pets.insert(),
                [
                    {"id": 1, "owner_id": 1, "name": "x"},
                    {"id": 2, "owner_id": 1, "name": "y"},
                    {"id": 3, "owner_id": 2, "name": "z"},
                ],
            )

    def test_queries(self):
        self.fill()
        p, pets = self.people, self.pets
        counted = (
            select(p.c.name, func.count(pets.c.id))
            .outerjoin(pets)
            .group_by(p.c.id)
            .having(func.count(pets.c.id) < 2)
            .order_by(p.c.name.desc())
        )
        self.assertEqual(self.rows(counted), [("d", 0), ("c", 0), ("b", 1)])
        ranked = select(
            p.c.name, func.rank().over(order_by=p.c.age.desc().nulls_last()).label("place")
        ).order_by("place", p.c.name)
        self.assertEqual(self.rows(ranked), [("b", 1), ("c", 1), ("a", 3), ("d", 4)])
        owners = select(p.c.name).where(
            sa.exists().where(pets.c.owner_id == p.c.id), p.c.name.in_(["a", "b", "q"])
        )
        self.assertEqual(sorted(self.rows(owners)), [("a",), ("b",)])
        self.assertEqual(self.rows(select(p.c.name).where(p.c.name.in_([]))), [])
        newest = (
            select(pets.c.name)
            .where(pets.c.owner_id == p.c.id)
            .order_by(pets.c.id.desc())
            .limit(1)
            .lateral("newest")
        )
        joined = select(p.c.name, newest.c.name).select_from(p.join(newest, sa.true()))
        self.assertEqual(self.rows(joined.order_by(p.c.name)), [("a", "y"), ("b", "z")])
        filtered = select(
            func.count().filter(p.c.age == 20),
            func.array_agg(pg.aggregate_order_by(p.c.name, p.c.name.desc())),
            func.percentile_cont(0.5).within_group(p.c.age),
        )
        self.assertEqual(self.rows(filtered), [(2, ["d", "c", "b", "a"], 20.0)])
        both = select(p.c.name).union_all(select(pets.c.name)).order_by("name").offset(1).limit(3)
        self.assertEqual(self.rows(both), [("b",), ("c",), ("d",)])
        distinct = select(p.c.name).distinct(p.c.age).order_by(p.c.age, p.c.name)
        self.assertEqual(self.rows(distinct), [("a",), ("b",), ("d",)])
        grouped = select(p.c.age, func.grouping(p.c.age), func.count()).group_by(func.rollup(p.c.age))
        self.assertEqual(
            sorted(self.rows(grouped), key=str),
            [(10, 0, 1), (20, 0, 2), (None, 0, 1), (None, 1, 4)],
        )

    def test_common_table_expressions(self):
        self.fill()
        numbers = select(sa.literal(1).label("n")).cte("numbers", recursive=True)
        numbers = numbers.union_all(select(numbers.c.n + 1).where(numbers.c.n < 5))
        self.assertEqual(self.rows(select(func.sum(numbers.c.n))), [(15,)])
        gone = self.pets.delete().returning(self.pets.c.owner_id).cte("gone")
        kept = select(self.people.c.name).join(gone, gone.c.owner_id == self.people.c.id).distinct()
        self.assertEqual(sorted(self.rows(kept)), [("a",), ("b",)])
        self.assertEqual(self.rows(select(func.count()).select_from(self.pets)), [(0,)])

    def test_values_and_updates_from_them(self):
        self.fill()
        new = sa.values(
            sa.column("id", sa.Integer), sa.column("age", sa.Integer), name="new"
        ).data([(1, 11), (2, 22)])
        with self.engine.begin() as conn:
            conn.execute(
                self.people.update().where(self.people.c.id == new.c.id).values(age=new.c.age)
            )
            conn.execute(self.pets.delete().where(self.pets.c.owner_id == self.people.c.id, self.people.c.age == 22))
        ages = select(self.people.c.age).order_by(self.people.c.id)
        self.assertEqual(self.rows(ages), [(11,), (22,), (20,), (None,)])
        self.assertEqual(self.rows(select(self.pets.c.id).order_by("id")), [(1,), (2,)])

    def test_locking(self):
        self.fill()
        query = select(self.people.c.id).where(self.people.c.id == 1)
        with self.engine.begin() as holder:
            holder.execute(query.with_for_update(key_share=True))
            self.assertEqual(self.rows(query.with_for_update(read=True, key_share=True)), [(1,)])
            self.assertEqual(self.rows(query.with_for_update(skip_locked=True)), [])
            self.fails(sa.exc.DBAPIError, "55P03", query.with_for_update(nowait=True, of=self.people))

    def test_errors(self):
        self.fill()
        insert = self.people.insert()
        self.fails(sa.exc.IntegrityError, "23505", insert, {"id": 1, "name": "new"})
        self.fails(sa.exc.IntegrityError, "23502", insert, {"age": 1})
        self.fails(sa.exc.IntegrityError, "23514", insert, {"name": "e", "age": -1})
        self.fails(sa.exc.IntegrityError, "23503", self.pets.insert(), {"id": 9, "owner_id": 99})
        self.fails(sa.exc.DBAPIError, "22001", insert, {"name": "x" * 51})
        self.fails(sa.exc.ProgrammingError, "42P01", sa.text("SELECT * FROM nowhere"))

    def test_transactions(self):
        insert = self.people.insert()
        with self.engine.connect() as conn:
            with conn.begin():
                conn.execute(insert, {"name": "a"})
                with self.assertRaises(sa.exc.IntegrityError):
                    with conn.begin_nested():
                        conn.execute(insert, {"name": "b"})
                        conn.execute(insert, {"name": "a"})
                nested = conn.begin_nested()
                conn.execute(insert, {"name": "c"})
                nested.rollback()
                conn.execute(insert, {"name": "d"})
        self.assertEqual(self.rows(select(self.people.c.name).order_by("name")), [("a",), ("d",)])
        for level in ("SERIALIZABLE", "REPEATABLE READ", "READ COMMITTED", "AUTOCOMMIT"):
            with self.engine.connect().execution_options(isolation_level=level) as conn:
                shown = conn.execute(sa.text("SHOW transaction_isolation")).scalar()
                self.assertEqual(shown, "read committed" if level == "AUTOCOMMIT" else level.lower())

    def test_streaming(self):
        numbers = select(func.generate_series(1, 5000).label("n"))
        with self.engine.connect() as conn:
            result = conn.execution_options(stream_results=True, max_row_buffer=100).execute(numbers)
            parts = [len(part) for part in result.partitions(900)]
        self.assertEqual(parts, [900] * 5 + [500])


class TypesByAsyncpg(Asyncpg, Types):
    """The same over asyncpg."""


class StatementsByAsyncpg(Asyncpg, Statements):
    """The same over asyncpg."""

    def test_streaming(self):
        """Of an async engine, streaming is another API."""
