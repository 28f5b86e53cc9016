"""As `makemigrations` wrote it, with a table of tickets that is yet to become what it is."""

import django.contrib.postgres.fields
import django.db.models.constraints
import django.db.models.deletion
import django.db.models.expressions
import django.db.models.functions.datetime
import django.db.models.functions.text
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='Tag',
            fields=[
                ('name', models.SlugField(primary_key=True, serialize=False)),
            ],
        ),
        migrations.CreateModel(
            name='Author',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=60, unique=True)),
                ('email', models.EmailField(blank=True, max_length=254)),
                ('born', models.DateField(null=True)),
                ('settings', models.JSONField(default=dict, null=True)),
            ],
            options={
                'constraints': [models.UniqueConstraint(django.db.models.functions.text.Lower('email'), condition=models.Q(('email', ''), _negated=True), name='one_email')],
            },
        ),
        migrations.CreateModel(
            name='Book',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('uid', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('title', models.CharField(db_comment='as printed', db_index=True, max_length=200)),
                ('price', models.DecimalField(decimal_places=2, default=0, max_digits=10)),
                ('discount', models.DecimalField(decimal_places=2, default=0, max_digits=4)),
                ('final', models.GeneratedField(db_persist=True, expression=django.db.models.expressions.CombinedExpression(models.F('price'), '-', models.F('discount')), output_field=models.DecimalField(decimal_places=2, max_digits=11))),
                ('pages', models.PositiveIntegerField(null=True)),
                ('weight', models.FloatField(null=True)),
                ('state', models.CharField(choices=[('d', 'Draft'), ('s', 'Sold')], default='d', max_length=1)),
                ('words', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), default=list, size=None)),
                ('matrix', django.contrib.postgres.fields.ArrayField(base_field=django.contrib.postgres.fields.ArrayField(base_field=models.IntegerField(), size=None), null=True, size=None)),
                ('cover', models.BinaryField(null=True)),
                ('reading_time', models.DurationField(null=True)),
                ('opens_at', models.TimeField(null=True)),
                ('address', models.GenericIPAddressField(null=True)),
                ('shown', models.BooleanField(default=True)),
                ('made', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('author', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='books', to='shop.author')),
                ('sequel_of', models.OneToOneField(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='sequel', to='shop.book')),
                ('tags', models.ManyToManyField(related_name='books', to='shop.tag')),
            ],
            options={
                'db_table_comment': 'what is sold',
                'ordering': ['title'],
            },
        ),
        migrations.CreateModel(
            name='Ticket',
            fields=[
                ('id', models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.CharField(max_length=20, db_index=True)),
                ('note', models.CharField(default='', max_length=5)),
                ('seat', models.IntegerField(unique=True)),
                ('gone', models.BooleanField(default=False)),
            ],
        ),
        migrations.AddIndex(
            model_name='book',
            index=models.Index(fields=['author', '-price'], name='by_price'),
        ),
        migrations.AddIndex(
            model_name='book',
            index=models.Index(condition=models.Q(('shown', True)), fields=['made'], name='shown_by_date'),
        ),
        migrations.AddConstraint(
            model_name='book',
            constraint=models.CheckConstraint(condition=models.Q(('price__gte', models.F('discount'))), name='not_below_zero'),
        ),
        migrations.AddConstraint(
            model_name='book',
            constraint=models.UniqueConstraint(fields=('author', 'title'), include=('state',), name='one_title'),
        ),
    ]
