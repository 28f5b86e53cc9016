"""Changes of a table with rows: types, names, nullability, defaults, constraints, data."""

import django.db.models.deletion
from django.db import migrations, models


def fill(apps, schema_editor):
    ticket = apps.get_model("shop", "Ticket")
    ticket.objects.bulk_create(
        ticket(number=str(10 * i), note="n", seat=i) for i in range(1, 4)
    )


def empty(apps, schema_editor):
    apps.get_model("shop", "Ticket").objects.filter(seat__gt=2).delete()


class Migration(migrations.Migration):

    dependencies = [("shop", "0001_initial")]

    operations = [
        migrations.RunPython(fill, empty),
        migrations.RunSQL(
            "UPDATE shop_ticket SET note = upper(note)", "UPDATE shop_ticket SET note = lower(note)"
        ),
        migrations.AlterField(
            "ticket",
            "id",
            models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
        ),
        migrations.AlterField("ticket", "number", models.BigIntegerField()),
        migrations.RenameField("ticket", "number", "code"),
        migrations.AlterField("ticket", "note", models.TextField(db_default="none", default="")),
        migrations.AlterField("ticket", "seat", models.CharField(max_length=9, null=True)),
        migrations.RemoveField("ticket", "gone"),
        migrations.AddField(
            "ticket",
            "book",
            models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, to="shop.book"
            ),
        ),
        migrations.AlterModelTable("ticket", "tickets"),
        migrations.AddConstraint(
            "ticket",
            models.UniqueConstraint(
                fields=["seat"], name="one_seat", deferrable=models.Deferrable.DEFERRED
            ),
        ),
    ]
