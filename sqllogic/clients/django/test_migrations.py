"""Migrations forwards and backwards, and commands that look at the schema or move its rows."""

import io
import json
import tempfile
import unittest
from pathlib import Path

from support import make_schema, migrated, rows

from django.core.management import call_command
from django.db import connection, transaction
from django.db.utils import IntegrityError

from shop.models import Author, Book, Tag, Ticket


def command(*arguments, **named):
    """What a management command prints."""
    out = io.StringIO()
    call_command(*arguments, stdout=out, **named)
    return out.getvalue()


class Commands(unittest.TestCase):
    def setUp(self):
        migrated()
        call_command("flush", interactive=False, verbosity=0)
        self.addCleanup(call_command, "flush", interactive=False, verbosity=0)

    def test_models_and_migrations_agree(self):
        self.assertIn("No changes detected", command("makemigrations", check=True, dry_run=True))
        self.assertNotIn("[ ]", command("showmigrations"))

    def test_flush_and_its_sequences(self):
        for _ in range(2):
            author = Author.objects.create(name="a")
            self.assertEqual((author.id, Author.objects.count()), (1, 1))
            call_command("flush", interactive=False, verbosity=0, reset_sequences=True)
        self.assertEqual(Author.objects.count(), 0)
        # The rows of the framework's own come back.
        self.assertEqual(rows("SELECT count(*) FROM auth_permission"), [(40,)])

    def test_sqlsequencereset(self):
        Author.objects.create(id=41, name="a")
        Ticket.objects.create(id=7, code=1)
        with connection.cursor() as cursor:
            cursor.execute(command("sqlsequencereset", "shop", no_color=True))
        self.assertEqual(Author.objects.create(name="b").id, 42)
        self.assertEqual(Ticket.objects.create(code=2).id, 8)

    def test_dumpdata_and_loaddata(self):
        author = Author.objects.create(name="ä", settings={"a": [1, None]})
        Tag.objects.create(name="new")
        book = Book.objects.create(
            title="one", author=author, price="10.50", words=["x", 'y"'], cover=b"\\0\1"
        )
        book.tags.add("new")
        Book.objects.create(title="two", author=author, sequel_of=book)
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "shop.json")
            # A row may come before the one that it references.
            call_command("dumpdata", "shop", output=path, verbosity=0)
            dumped = json.loads(Path(path).read_text())
            Path(path).write_text(json.dumps(dumped[::-1]))
            self.assertEqual(len(dumped), 4)
            call_command("flush", interactive=False, verbosity=0)
            call_command("loaddata", path, verbosity=0)
        again = Book.objects.get(title="one")
        self.assertEqual(
            (again.uid, again.author.name, again.author.settings, again.words, bytes(again.cover)),
            (book.uid, "ä", {"a": [1, None]}, ["x", 'y"'], b"\\0\1"),
        )
        self.assertEqual((again.sequel.title, again.tags.get().name), ("two", "new"))
        with self.assertRaises(IntegrityError):
            call_command("loaddata", self.broken(), verbosity=0)

    def broken(self):
        """A file whose one row references nothing."""
        row = {"model": "shop.ticket", "pk": 1, "fields": {"code": 1, "book": 999}}
        file = tempfile.NamedTemporaryFile("w", suffix=".json", delete=False)
        self.addCleanup(Path(file.name).unlink)
        with file:
            json.dump([row], file)
        return file.name

    def test_inspectdb(self):
        printed = command("inspectdb", "shop_book", "shop_author")
        for line in (
            "uid = models.UUIDField(unique=True)",
            "title = models.CharField(max_length=200, db_comment='as printed')",
            "author = models.ForeignKey('ShopAuthor', models.DO_NOTHING)",
            "sequel_of = models.OneToOneField('self', models.DO_NOTHING, blank=True, null=True)",
            "price = models.DecimalField(max_digits=10, decimal_places=2)",
            "reading_time = models.DurationField(blank=True, null=True)",
            "address = models.GenericIPAddressField(blank=True, null=True)",
            "settings = models.JSONField(blank=True, null=True)",
            "id = models.BigAutoField(primary_key=True)",
            "unique_together = (('author', 'title', 'state'),)",
            "db_table_comment = 'what is sold'",
        ):
            self.assertIn(line, printed)

    def test_introspection(self):
        with connection.cursor() as cursor:
            found = connection.introspection
            names = found.table_names(cursor)
            self.assertIn("django_session", names)
            self.assertIn("shop_book_tags", names)
            relations = found.get_relations(cursor, "shop_book")
            self.assertEqual(
                {name: target[:2] for name, target in relations.items()},
                {"author_id": ("id", "shop_author"), "sequel_of_id": ("id", "shop_book")},
            )
            self.assertEqual(found.get_primary_key_columns(cursor, "shop_tag"), ["name"])
            self.assertEqual(
                found.get_sequences(cursor, "shop_author"),
                [{"name": "shop_author_id_seq", "table": "shop_author", "column": "id"}],
            )
            constraints = found.get_constraints(cursor, "shop_book")
        self.assertEqual(constraints["not_below_zero"]["check"], True)
        self.assertEqual(constraints["one_title"]["columns"], ["author_id", "title", "state"])
        self.assertTrue(constraints["one_title"]["unique"])
        self.assertEqual(constraints["by_price"]["orders"], ["ASC", "DESC"])
        self.assertTrue(constraints["shown_by_date"]["index"])
        foreign = [it["foreign_key"] for it in constraints.values() if it["foreign_key"]]
        self.assertEqual(sorted(foreign), [("shop_author", "id"), ("shop_book", "id")])
        with connection.cursor() as cursor:
            constraints = connection.introspection.get_constraints(cursor, "shop_author")
        self.assertTrue(constraints["one_email"]["unique"] and constraints["one_email"]["index"])

    def test_sqlmigrate(self):
        self.assertIn("ALTER COLUMN \"number\" TYPE bigint", command("sqlmigrate", "shop", "0002"))


class Steps(unittest.TestCase):
    """Migrations one by one, with rows in the tables that they change."""

    def setUp(self):
        make_schema()
        migrated.done = False

    def test_forwards_and_backwards(self):
        call_command("migrate", "shop", "0001", verbosity=0)
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO shop_ticket (number, note, seat, gone) VALUES ('5', 'a', 9, true)")
        call_command("migrate", "shop", "0002", verbosity=0)
        self.assertEqual(
            rows("SELECT code, note, seat, book_id FROM tickets ORDER BY code"),
            [(5, "A", "9", None), (10, "N", "1", None), (20, "N", "2", None), (30, "N", "3", None)],
        )
        call_command("migrate", "shop", "0001", verbosity=0)
        self.assertEqual(
            rows("SELECT number, note, seat, gone FROM shop_ticket ORDER BY seat"),
            [("10", "n", 1, False), ("20", "n", 2, False)],
        )
        call_command("migrate", "shop", "zero", verbosity=0)
        with connection.cursor() as cursor:
            names = connection.introspection.table_names(cursor)
        self.assertEqual([name for name in names if name.startswith("shop_")], [])

    def test_a_failed_migration_leaves_nothing(self):
        call_command("migrate", "shop", "0001", verbosity=0)
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO shop_ticket (number, note, seat, gone) VALUES ('x', 'a', 9, true)")
        with self.assertRaises(Exception) as caught:
            call_command("migrate", "shop", "0002", verbosity=0)
        self.assertIn('invalid input syntax for type bigint: "x"', str(caught.exception))
        self.assertEqual(rows("SELECT number, note, gone FROM shop_ticket"), [("x", "a", True)])
        self.assertEqual(rows("SELECT name FROM django_migrations WHERE app = 'shop'"), [("0001_initial",)])

    def test_foreign_keys_are_checked_at_the_end(self):
        call_command("migrate", verbosity=0)
        with transaction.atomic():
            Book.objects.create(title="early", author_id=77)
            Author.objects.create(id=77, name="late")
        self.assertEqual(Book.objects.get().author.name, "late")
        with self.assertRaises(IntegrityError):
            with transaction.atomic():
                Book.objects.create(title="other", author_id=78)
                self.assertEqual(Book.objects.count(), 2)
        with transaction.atomic():
            Book.objects.create(title="other", author_id=78)
            with self.assertRaises(IntegrityError):
                with transaction.atomic():
                    connection.check_constraints()
            transaction.set_rollback(True)
        Ticket.objects.bulk_create([Ticket(code=8, seat="a"), Ticket(code=9, seat="b")])
        with transaction.atomic():
            Ticket.objects.filter(seat="a").update(seat="b")
            Ticket.objects.filter(code=9).update(seat="a")
        self.assertEqual(Ticket.objects.get(seat="a").code, 9)
