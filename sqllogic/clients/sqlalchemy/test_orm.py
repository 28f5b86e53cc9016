"""SQLAlchemy's ORM over psycopg and asyncpg: units of work, relationships and how they are loaded."""

import uuid
from datetime import datetime
from typing import Optional

import sqlalchemy as sa
from sqlalchemy import ForeignKey, func, select
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert
from sqlalchemy.ext.mutable import MutableDict
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    joinedload,
    mapped_column,
    relationship,
    selectinload,
    subqueryload,
)
from support import Asyncpg, Case


class Base(DeclarativeBase):
    pass


book_tags = sa.Table(
    "book_tags",
    Base.metadata,
    sa.Column("book_id", ForeignKey("book.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("tag", ForeignKey("tag.name"), primary_key=True),
)


class Author(Base):
    __tablename__ = "author"
    id: Mapped[uuid.UUID] = mapped_column(
        primary_key=True, server_default=sa.text("gen_random_uuid()")
    )
    name: Mapped[str] = mapped_column(sa.String(40), unique=True)
    kind: Mapped[str] = mapped_column(default="person")
    made: Mapped[datetime] = mapped_column(
        sa.DateTime(timezone=True), server_default=func.now()
    )
    settings: Mapped[dict] = mapped_column(MutableDict.as_mutable(JSONB), default=dict)
    books: Mapped[list["Book"]] = relationship(
        back_populates="author", cascade="all, delete-orphan", order_by="Book.title"
    )
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "person"}


class Company(Author):
    __tablename__ = "company"
    id: Mapped[uuid.UUID] = mapped_column(ForeignKey("author.id"), primary_key=True)
    city: Mapped[Optional[str]]
    __mapper_args__ = {"polymorphic_identity": "company"}


class Tag(Base):
    __tablename__ = "tag"
    name: Mapped[str] = mapped_column(primary_key=True)


class Book(Base):
    __tablename__ = "book"
    id: Mapped[int] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column()
    title: Mapped[str]
    pages: Mapped[Optional[int]]
    words: Mapped[list[str]] = mapped_column(ARRAY(sa.Text), default=list)
    author_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("author.id"), index=True)
    author: Mapped[Author] = relationship(back_populates="books")
    tags: Mapped[list[Tag]] = relationship(secondary=book_tags, order_by="Tag.name")
    __mapper_args__ = {"version_id_col": version}


class Orm(Case):
    def setUp(self):
        super().setUp()
        Base.metadata.create_all(self.engine)

    def fill(self, session):
        tags = {name: Tag(name=name) for name in ("old", "new", "long")}
        for name in ("a", "b", "c"):
            author = Author(name=name)
            for at in range(3 if name != "c" else 0):
                book = Book(title=f"{name}{at}", pages=100 * at, tags=[tags["old"]])
                book.tags.append(tags["long" if at else "new"])
                author.books.append(book)
            session.add(author)
        session.add(Company(name="d", city="Bern"))
        session.commit()

    def test_a_unit_of_work(self):
        with Session(self.engine) as session:
            self.fill(session)
            self.assertEqual(session.scalar(select(func.count(Book.id))), 6)
            author = session.scalars(select(Author).filter_by(name="a")).one()
            self.assertIsInstance(author.id, uuid.UUID)
            self.assertIsNotNone(author.made.tzinfo)
            author.settings["colour"] = "red"
            author.books[0].title = "renamed"
            del author.books[1]
            author.books.append(Book(title="extra", words=["x", "y"]))
            session.commit()
            self.assertEqual([book.title for book in author.books], ["a2", "extra", "renamed"])
            self.assertEqual(author.settings, {"colour": "red"})
            self.assertEqual(author.books[2].version, 2)
            session.delete(author)
            session.commit()
            self.assertEqual(session.scalar(select(func.count()).select_from(Book)), 3)
            self.assertEqual(session.scalar(select(func.count()).select_from(book_tags)), 6)

    def test_ways_of_loading(self):
        with Session(self.engine) as session:
            self.fill(session)
        for load in (joinedload, selectinload, subqueryload):
            with self.subTest(load=load.__name__), Session(self.engine) as session:
                query = select(Author).options(load(Author.books).options(load(Book.tags)))
                authors = session.scalars(query.order_by(Author.name)).unique().all()
                session.expunge_all()
                self.assertEqual(
                    [(a.name, [(b.title, [t.name for t in b.tags]) for b in a.books]) for a in authors],
                    [
                        (n, [(f"{n}{at}", ["long" if at else "new", "old"]) for at in range(3)])
                        for n in "ab"
                    ]
                    + [("c", []), ("d", [])],
                )

    def test_inheritance(self):
        with Session(self.engine) as session:
            self.fill(session)
            everyone = session.scalars(select(Author).order_by(Author.name)).all()
            self.assertEqual([type(one).__name__ for one in everyone], ["Author"] * 3 + ["Company"])
            company = session.scalars(select(Company).where(Company.city == "Bern")).one()
            self.assertEqual((company.kind, company.name), ("company", "d"))

    def test_queries_over_relationships(self):
        with Session(self.engine) as session:
            self.fill(session)
            tagged = select(Book.title).where(Book.tags.any(Tag.name == "new")).order_by(Book.title)
            self.assertEqual(session.scalars(tagged).all(), ["a0", "b0"])
            without = select(Author.name).where(~Author.books.any()).order_by(Author.name)
            self.assertEqual(session.scalars(without).all(), ["c", "d"])
            written = select(Book.title).where(Book.author.has(Author.name == "b"))
            self.assertEqual(len(session.scalars(written).all()), 3)
            longest = (
                select(Author.name, func.max(Book.pages), func.count(Book.id.distinct()))
                .join(Author.books)
                .join(Book.tags)
                .group_by(Author.name)
                .order_by(Author.name)
            )
            self.assertEqual(
                [tuple(row) for row in session.execute(longest)], [("a", 200, 3), ("b", 200, 3)]
            )
            place = func.row_number().over(partition_by=Book.author_id, order_by=Book.pages.desc())
            ranked = select(Book.title, place.label("place")).subquery()
            first = select(ranked.c.title).where(ranked.c.place == 1).order_by(ranked.c.title)
            self.assertEqual(session.scalars(first).all(), ["a2", "b2"])

    def test_statements_in_bulk(self):
        with Session(self.engine) as session:
            self.fill(session)
            owner = session.scalars(select(Author.id).filter_by(name="c")).one()
            rows = [
                {"title": f"t{i}", "author_id": owner, "version": 1, "words": [str(i)]}
                for i in range(1500)
            ]
            made = session.scalars(sa.insert(Book).returning(Book, sort_by_parameter_order=True), rows)
            self.assertEqual([book.title for book in made.all()], [row["title"] for row in rows])
            changed = session.execute(
                sa.update(Book)
                .where(Book.author_id == owner, Book.title < "t2")
                .values(pages=func.length(Book.title))
                .returning(Book.pages)
            )
            self.assertEqual(sum(changed.scalars()), 2 * 2 + 10 * 3 + 100 * 4 + 500 * 5)
            gone = session.execute(sa.delete(Book).where(Book.author_id == owner))
            self.assertEqual(gone.rowcount, 1500)
            upsert = insert(Author).values(name="a", kind="person", settings={"k": 1})
            upsert = upsert.on_conflict_do_update(
                index_elements=[Author.name], set_={"settings": upsert.excluded.settings}
            )
            author = session.scalars(
                upsert.returning(Author), execution_options={"populate_existing": True}
            ).one()
            self.assertEqual((author.name, author.settings), ("a", {"k": 1}))
            session.commit()

    def test_a_stale_version(self):
        with Session(self.engine) as session:
            self.fill(session)
            book = session.scalars(select(Book).where(Book.title == "a0")).one()
            with Session(self.engine) as other:
                same = other.get(Book, book.id)
                same.title = "other"
                other.commit()
            book.title = "mine"
            with self.assertRaises(sa.orm.exc.StaleDataError):
                session.commit()

    def test_savepoints_and_refresh(self):
        with Session(self.engine) as session:
            self.fill(session)
            with self.assertRaises(sa.exc.IntegrityError):
                with session.begin_nested():
                    session.add(Author(name="a"))
                    session.flush()
            author = session.scalars(select(Author).filter_by(name="b").with_for_update()).one()
            session.execute(sa.text("UPDATE author SET kind = 'person', name = 'z' WHERE name = 'b'"))
            session.refresh(author)
            self.assertEqual(author.name, "z")
            session.rollback()
            self.assertEqual(author.name, "b")

    def test_in_parts(self):
        with Session(self.engine) as session:
            self.fill(session)
            books = session.scalars(select(Book).order_by(Book.title)).yield_per(2)
            self.assertEqual([b.title for b in books], ["a0", "a1", "a2", "b0", "b1", "b2"])


class OrmByAsyncpg(Asyncpg, Orm):
    """The same over asyncpg."""

    def test_in_parts(self):
        """Of an async engine, streaming is another API."""
