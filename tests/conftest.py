"""Fixtures that every kind of test shares; each is made in `tests/fixtures`."""

from tests.fixtures.database import database, postgres
from tests.fixtures.pki import pki
from tests.fixtures.stack import stack, tenant

__all__ = ["database", "pki", "postgres", "stack", "tenant"]
