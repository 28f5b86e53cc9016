"""The little project's settings, and its schema: migrated once, before the first test."""

import os

import django
from django.conf import settings

# A libpq connection string as keywords: host, port, user, dbname.
DSN = dict(pair.split("=", 1) for pair in os.environ["AEGIS_CLIENTS_DSN"].split())
SCHEMA = "django_suite"

settings.configure(
    SECRET_KEY="of no worth",
    USE_TZ=True,
    TIME_ZONE="UTC",
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=[
        "django.contrib.admin",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.messages",
        "django.contrib.postgres",
        "django.contrib.sessions",
        "shop",
    ],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": DSN["dbname"],
            "USER": DSN["user"],
            "HOST": DSN["host"],
            "PORT": DSN["port"],
            "OPTIONS": {"options": f"-c search_path={SCHEMA}"},
        }
    },
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
)
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402


def make_schema():
    """An empty schema."""
    with connection.cursor() as cursor:
        cursor.execute("SET client_min_messages = warning")
        cursor.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
        cursor.execute("RESET client_min_messages")
        cursor.execute(f"CREATE SCHEMA {SCHEMA}")


def migrated():
    """The schema with all migrations applied; made by the first test that asks for it."""
    if not migrated.done:
        make_schema()
        call_command("migrate", verbosity=0)
        migrated.done = True


migrated.done = False


def rows(query, parameters=None):
    """The rows of a statement."""
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        return cursor.fetchall()
