"""The ORM: expressions, aggregates, windows, JSON, arrays, bulk writes, locks, admin's own apps."""

import datetime as dt
from decimal import Decimal

from support import migrated, rows

from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.contrib.postgres.aggregates import ArrayAgg, JSONBAgg, StringAgg
from django.contrib.sessions.backends.db import SessionStore
from django.db import connection, models, transaction
from django.db.models import Avg, Case, Count, Exists, F, Max, OuterRef, Prefetch, Q, Subquery, Sum
from django.db.models import Value, When, Window
from django.db.models.fields.json import KT
from django.db.models.functions import (
    Cast,
    Coalesce,
    Concat,
    Extract,
    Lag,
    Length,
    Lower,
    Now,
    Rank,
    RowNumber,
    TruncMonth,
)
from django.db.utils import DatabaseError, IntegrityError
from django.test import TestCase

from shop.models import Author, Book, Tag, Ticket

UTC = dt.timezone.utc


class Queries(TestCase):
    """Every test in a transaction that is rolled back."""

    @classmethod
    def setUpClass(cls):
        migrated()
        super().setUpClass()

    @classmethod
    def setUpTestData(cls):
        cls.ann = Author.objects.create(name="Ann", email="a@x.org", born="1970-02-03", settings={"lang": "de", "n": {"deep": [1, 2]}})
        cls.bob = Author.objects.create(name="Bob", settings={"lang": "fr", "flag": True})
        cls.cid = Author.objects.create(name="Cid", settings=None)
        Tag.objects.bulk_create(Tag(name=name) for name in ("new", "old"))
        for at in range(5):
            book = Book.objects.create(
                title=f"Book {at}",
                author=cls.ann if at < 3 else cls.bob,
                price=Decimal(10 * at) + Decimal("0.50"),
                pages=100 * at or None,
                words=["w"] * at,
                made=dt.datetime(2024, at + 1, 15, 12, tzinfo=UTC),
            )
            book.tags.add("new" if at % 2 else "old")

    def test_values_of_all_fields(self):
        book = Book(
            title="all 100%",
            author=self.ann,
            price=Decimal("12345678.90"),
            discount=Decimal("0.90"),
            weight=0.1,
            words=["a b", 'c"d', "", "é{}"],
            matrix=[[1, None], [3, 4]],
            cover=bytes(range(256)),
            reading_time=dt.timedelta(days=-2, seconds=1, microseconds=5),
            opens_at=dt.time(23, 59, 59, 999999),
            address="2001:db8::1",
        )
        book.save()
        self.assertEqual(book.final, Decimal("12345678.00"))
        self.assertIsInstance(book.made, dt.datetime)
        got = Book.objects.get(uid=book.uid)
        names = ("price", "weight", "words", "matrix", "reading_time", "opens_at", "address", "made")
        for name in names:
            self.assertEqual(getattr(got, name), getattr(book, name), name)
        self.assertEqual(bytes(got.cover), book.cover)
        got = Book.objects.get(reading_time__lt=dt.timedelta(0), opens_at__hour=23, weight=0.1)
        self.assertEqual(got, book)

    def test_lookups(self):
        def titles(*q, **lookups):
            return [b.title[-1] for b in Book.objects.filter(*q, **lookups).order_by("title")]

        self.assertEqual(titles(title__iexact="BOOK 1"), ["1"])
        self.assertEqual(titles(title__icontains="OK 2"), ["2"])
        self.assertEqual(titles(title__startswith="Book", title__endswith="3"), ["3"])
        self.assertEqual(titles(title__regex=r"[02]$"), ["0", "2"])
        self.assertEqual(titles(title__iregex=r"^bOOK 4"), ["4"])
        self.assertEqual(titles(title__contains="%"), [])
        self.assertEqual(titles(pages__isnull=True), ["0"])
        self.assertEqual(titles(price__range=(10, 31)), ["1", "2", "3"])
        self.assertEqual(titles(made__month=3), ["2"])
        self.assertEqual(titles(made__date=dt.date(2024, 2, 15)), ["1"])
        self.assertEqual(titles(made__year__gte=2024, made__quarter=2), ["3", "4"])
        self.assertEqual(titles(Q(author__name="Bob") | ~Q(tags="old")), ["1", "3", "4"])
        self.assertEqual(titles(price__gt=F("pages")), [])
        self.assertEqual(titles(pk__in=Book.objects.filter(tags__name="old").values("pk")), ["0", "2", "4"])
        self.assertEqual(titles(words__len=3), ["3"])
        self.assertEqual(titles(words__contains=["w"], words__0="w", words__len__lt=3), ["1", "2"])
        self.assertEqual(titles(words__overlap=["q", "w"], words__2="w"), ["3", "4"])

    def test_json(self):
        def names(*q, **lookups):
            return [a.name for a in Author.objects.filter(*q, **lookups).order_by("name")]

        self.assertEqual(names(settings__lang="de"), ["Ann"])
        self.assertEqual(names(settings__n__deep__1=2), ["Ann"])
        self.assertEqual(names(settings__flag=True), ["Bob"])
        self.assertEqual(names(settings__contains={"n": {}}), ["Ann"])
        self.assertEqual(names(settings__contained_by={"lang": "fr", "flag": True, "more": 1}), ["Bob"])
        self.assertEqual(names(settings__has_key="n"), ["Ann"])
        self.assertEqual(names(settings__has_any_keys=["n", "flag"]), ["Ann", "Bob"])
        self.assertEqual(names(settings__lang__in=["fr", "it"]), ["Bob"])
        self.assertEqual(names(settings__lang__icontains="D"), ["Ann"])
        self.assertEqual(names(settings__isnull=True), ["Cid"])
        self.assertEqual(names(~Q(settings__lang="de"), settings__isnull=False), ["Bob"])
        languages = Author.objects.annotate(lang=KT("settings__lang")).values_list("lang", flat=True)
        self.assertEqual(list(languages.order_by("name")), ["de", "fr", None])
        self.assertEqual(Author.objects.order_by("settings__lang").first(), self.ann)

    def test_aggregates(self):
        self.assertEqual(
            Book.objects.aggregate(n=Count("id"), pages=Sum("pages"), mean=Avg("price"), top=Max("made__year")),
            {"n": 5, "pages": 1000, "mean": Decimal("20.5"), "top": 2024},
        )
        authors = Author.objects.annotate(
            n=Count("books"),
            long=Count("books", filter=Q(books__pages__gt=150)),
            pages=Coalesce(Sum("books__pages"), 0),
        ).order_by("-n")
        self.assertEqual(
            [(a.name, a.n, a.long, a.pages) for a in authors],
            [("Ann", 3, 1, 300), ("Bob", 2, 2, 700), ("Cid", 0, 0, 0)],
        )
        by_month = (
            Book.objects.annotate(month=TruncMonth("made"))
            .values("month")
            .annotate(n=Count("*"))
            .order_by("month")
        )
        self.assertEqual(by_month[1], {"month": dt.datetime(2024, 2, 1, tzinfo=UTC), "n": 1})
        tagged = Tag.objects.annotate(n=Count("books")).filter(n__gt=2).values_list("name", "n")
        self.assertEqual(list(tagged), [("old", 3)])
        collected = Author.objects.filter(name="Ann").aggregate(
            prices=ArrayAgg("books__price", ordering="-books__price"),
            titles=StringAgg("books__title", delimiter="; ", ordering="books__title"),
            objects=JSONBAgg("books__pages", ordering="books__pages"),
        )
        self.assertEqual(
            collected,
            {
                "prices": [Decimal("20.50"), Decimal("10.50"), Decimal("0.50")],
                "titles": "Book 0; Book 1; Book 2",
                "objects": [100, 200, None],
            },
        )

    def test_subqueries(self):
        newest = Book.objects.filter(author=OuterRef("pk")).order_by("-made")
        authors = Author.objects.annotate(
            newest=Subquery(newest.values("title")[:1]),
            sells=Exists(newest.filter(state=Book.State.SOLD)),
            n=Subquery(newest.order_by().values("author").annotate(n=Count("*")).values("n")),
        ).order_by("name")
        self.assertEqual(
            [(a.newest, a.sells, a.n) for a in authors],
            [("Book 2", False, 3), ("Book 4", False, 2), (None, False, None)],
        )
        self.assertEqual(Author.objects.filter(~Exists(newest)).get(), self.cid)
        Book.objects.filter(Exists(Author.objects.filter(pk=OuterRef("author"), name="Bob"))).update(state="s")
        self.assertEqual(Book.objects.filter(state="s").count(), 2)

    def test_windows(self):
        ranked = Book.objects.annotate(
            place=Window(Rank(), partition_by="author", order_by="-price"),
            number=Window(RowNumber(), order_by="title"),
            before=Window(Lag("pages", default=-1), order_by="title"),
            running=Window(Sum("price"), order_by="title"),
        ).order_by("title")
        self.assertEqual(
            [(b.place, b.number, b.before, b.running) for b in ranked],
            [
                (3, 1, -1, Decimal("0.50")),
                (2, 2, None, Decimal("11.00")),
                (1, 3, 100, Decimal("31.50")),
                (2, 4, 200, Decimal("62.00")),
                (1, 5, 300, Decimal("102.50")),
            ],
        )
        self.assertEqual([b.title for b in ranked.filter(place=1)], ["Book 2", "Book 4"])

    def test_expressions(self):
        book = (
            Book.objects.annotate(
                label=Concat(
                    Lower("title"),
                    Value("/"),
                    Cast("pages", models.CharField(max_length=9)),
                    output_field=models.TextField(),
                ),
                size=Case(
                    When(pages__gte=300, then=Value("thick")),
                    When(pages=None, then=Value("none")),
                    default=Value("thin"),
                ),
                quarter=Extract("made", "quarter"),
                age=Now() - F("made"),
                length=Length("title"),
            )
            .filter(size="thick")
            .latest("made")
        )
        self.assertEqual((book.label, book.quarter, book.length), ("book 4/400", 2, 6))
        self.assertIsInstance(book.age, dt.timedelta)
        Book.objects.filter(pk=book.pk).update(price=F("price") * 2, title=Concat("title", Value("!")))
        book.refresh_from_db()
        self.assertEqual((book.price, book.title, book.final), (Decimal("81.00"), "Book 4!", Decimal("81.00")))
        cheap, dear = Book.objects.filter(price__lt=5), Book.objects.filter(price__gt=50)
        self.assertEqual([b.title for b in cheap.union(dear).order_by("title")], ["Book 0", "Book 4!"])
        self.assertEqual(cheap.intersection(dear).count(), 0)
        self.assertEqual(list(Book.objects.dates("made", "year")), [dt.date(2024, 1, 1)])
        self.assertEqual(Book.objects.distinct("author").order_by("author", "title").count(), 2)

    def test_related_rows(self):
        with self.assertNumQueries(3):
            authors = Author.objects.prefetch_related(
                Prefetch("books", Book.objects.filter(pages__gt=0)), "books__tags"
            ).order_by("name")
            got = [(a.name, [(b.title, [t.name for t in b.tags.all()]) for b in a.books.all()]) for a in authors]
        self.assertEqual(got[1], ("Bob", [("Book 3", ["new"]), ("Book 4", ["old"])]))
        with self.assertNumQueries(1):
            book = Book.objects.select_related("author", "sequel_of").get(title="Book 0")
            self.assertEqual((book.author.name, book.sequel_of), ("Ann", None))
        book.tags.set(["new"])
        self.assertEqual(Tag.objects.get(name="new").books.count(), 3)

    def test_bulk_writes(self):
        authors = Author.objects.bulk_create([Author(name=f"n{i}") for i in range(500)], batch_size=200)
        self.assertEqual(len({a.pk for a in authors}), 500)
        Author.objects.bulk_create([Author(name="n1"), Author(name="m")], ignore_conflicts=True)
        self.assertEqual(Author.objects.count(), 504)
        upserted = Author.objects.bulk_create(
            [Author(name="n1", born="2000-01-01"), Author(name="k", born="2001-01-01")],
            update_conflicts=True,
            unique_fields=["name"],
            update_fields=["born"],
        )
        self.assertEqual(upserted[0].pk, authors[1].pk)
        self.assertEqual(Author.objects.get(name="n1").born, dt.date(2000, 1, 1))
        for author in authors:
            author.email = f"{author.name}@x.org"
        self.assertEqual(Author.objects.bulk_update(authors, ["email"], batch_size=100), 500)
        self.assertEqual(Author.objects.filter(email__endswith="@x.org").count(), 501)
        self.assertEqual(Author.objects.in_bulk(["n7"], field_name="name")["n7"].email, "n7@x.org")
        made = Author.objects.get_or_create(name="n1")[1], Author.objects.update_or_create(name="z")[1]
        self.assertEqual(made, (False, True))
        deleted = Author.objects.filter(name__startswith="n").delete()
        self.assertEqual(deleted, (500, {"shop.Author": 500}))
        self.assertEqual(self.ann.delete()[1], {"shop.Book_tags": 3, "shop.Book": 3, "shop.Author": 1})

    def test_constraints(self):
        def refused(function, constraint):
            with self.assertRaises(IntegrityError) as caught, transaction.atomic():
                function()
            self.assertEqual(caught.exception.__cause__.diag.constraint_name, constraint)

        refused(lambda: Author.objects.create(name="x", email="A@X.ORG"), "one_email")
        refused(lambda: Book.objects.create(title="Book 0", author=self.ann), "one_title")
        refused(lambda: Book.objects.filter(title="Book 0").update(discount=1), "not_below_zero")
        book = Book.objects.get(title="Book 0")
        Ticket.objects.create(code=1, book=book)
        self.assertEqual(Ticket.objects.get(code=1).note, "")
        with self.assertRaises(models.ProtectedError):
            book.delete()

    def test_locks(self):
        query = Author.objects.select_for_update(of=("self",), no_key=True).filter(name="Ann")
        self.assertEqual(query.get(), self.ann)
        book = Book.objects.select_related("author").select_for_update(skip_locked=True, of=("self", "author"))
        self.assertEqual(book.get(title="Book 1").author, self.ann)

    def test_iterators_and_explain(self):
        titles = [b.title for b in Book.objects.order_by("pk").iterator(chunk_size=2)]
        self.assertEqual(titles, [f"Book {i}" for i in range(5)])
        self.assertIn("shop_author", Author.objects.filter(name="Ann").explain(costs=False))
        plan = Author.objects.filter(name="Ann").explain(format="json", analyze=True, buffers=True)
        self.assertIn("Actual Rows", plan)
        self.assertIn("Execution Time", Author.objects.order_by("name").explain(analyze=True))

    def test_transactions(self):
        with self.assertRaises(DatabaseError), transaction.atomic():
            rows("SELECT 1/0")
        point = transaction.savepoint()
        Author.objects.create(name="later gone")
        transaction.savepoint_rollback(point)
        self.assertFalse(Author.objects.filter(name="later gone").exists())
        done = []
        with self.captureOnCommitCallbacks(execute=True), transaction.atomic():
            transaction.on_commit(lambda: done.append(1))
        self.assertEqual(done, [1])

    def test_users_permissions_and_sessions(self):
        user = User.objects.create_user("eve", password="secret")
        self.assertTrue(user.check_password("secret"))
        permission = Permission.objects.get(codename="add_book")
        group = Group.objects.create(name="sellers")
        group.permissions.add(permission)
        user.groups.add(group)
        user = User.objects.get(username="eve")
        self.assertTrue(user.has_perm("shop.add_book"))
        self.assertFalse(user.has_perm("shop.delete_book"))
        self.assertEqual(ContentType.objects.get_for_model(Book).permission_set.count(), 4)
        store = SessionStore()
        store["basket"] = [1, 2]
        store.save()
        self.assertEqual(SessionStore(store.session_key)["basket"], [1, 2])

    def test_the_connection(self):
        self.assertEqual(connection.pg_version // 10000, 15)
        self.assertTrue(connection.is_usable())
        self.assertEqual(rows("SELECT %s::text, %s::int[]", ["%", [1]]), [("%", [1])])
