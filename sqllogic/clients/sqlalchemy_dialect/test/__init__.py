"""SQLAlchemy's own suite for dialects."""
