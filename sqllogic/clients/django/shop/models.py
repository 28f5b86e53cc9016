"""A shop: a field of every usual type, constraints, indexes and relations."""

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower, Now


class Author(models.Model):
    name = models.CharField(max_length=60, unique=True)
    email = models.EmailField(blank=True)
    born = models.DateField(null=True)
    settings = models.JSONField(default=dict, null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(Lower("email"), condition=~Q(email=""), name="one_email"),
        ]


class Tag(models.Model):
    name = models.SlugField(primary_key=True)


class Book(models.Model):
    class State(models.TextChoices):
        DRAFT = "d"
        SOLD = "s"

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    title = models.CharField(max_length=200, db_index=True, db_comment="as printed")
    author = models.ForeignKey(Author, models.CASCADE, related_name="books")
    sequel_of = models.OneToOneField("self", models.SET_NULL, null=True, related_name="sequel")
    tags = models.ManyToManyField(Tag, related_name="books")
    price = models.DecimalField(max_digits=10, decimal_places=2, default=0)
    discount = models.DecimalField(max_digits=4, decimal_places=2, default=0)
    final = models.GeneratedField(
        expression=F("price") - F("discount"),
        output_field=models.DecimalField(max_digits=11, decimal_places=2),
        db_persist=True,
    )
    pages = models.PositiveIntegerField(null=True)
    weight = models.FloatField(null=True)
    state = models.CharField(max_length=1, choices=State, default=State.DRAFT)
    words = ArrayField(models.TextField(), default=list)
    matrix = ArrayField(ArrayField(models.IntegerField()), null=True)
    cover = models.BinaryField(null=True)
    reading_time = models.DurationField(null=True)
    opens_at = models.TimeField(null=True)
    address = models.GenericIPAddressField(null=True)
    shown = models.BooleanField(default=True)
    made = models.DateTimeField(db_default=Now())

    class Meta:
        db_table_comment = "what is sold"
        ordering = ["title"]
        constraints = [
            models.CheckConstraint(condition=Q(price__gte=F("discount")), name="not_below_zero"),
            models.UniqueConstraint(
                fields=["author", "title"], name="one_title", include=["state"]
            ),
        ]
        indexes = [
            models.Index(fields=["author", "-price"], name="by_price"),
            models.Index(fields=["made"], name="shown_by_date", condition=Q(shown=True)),
        ]


class Ticket(models.Model):
    """A table that migrations have changed much."""

    code = models.BigIntegerField()
    note = models.TextField(default="", db_default="none")
    seat = models.CharField(max_length=9, null=True)
    book = models.ForeignKey(Book, models.PROTECT, null=True)

    class Meta:
        db_table = "tickets"
        constraints = [
            models.UniqueConstraint(
                fields=["seat"], name="one_seat", deferrable=models.Deferrable.DEFERRED
            ),
        ]
