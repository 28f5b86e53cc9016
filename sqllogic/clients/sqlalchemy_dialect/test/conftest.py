"""Loads SQLAlchemy's plugin of pytest."""

import pytest

pytest.register_assert_rewrite("sqlalchemy.testing.assertions")

from sqlalchemy.dialects.postgresql import provision  # noqa: E402
from sqlalchemy.testing.plugin.pytestplugin import *  # noqa: E402, F403

# It would create hstore and citext before the first test, which needs neither.
provision._extensions.clear()
