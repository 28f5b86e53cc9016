"""All of the suite's tests."""

from sqlalchemy.testing.suite import *  # noqa: F401, F403
