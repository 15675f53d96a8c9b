"""Fixtures that every kind of test shares; each is made in `tests/fixtures`."""

from tests.fixtures.database import database, postgres
from tests.fixtures.pki import pki

__all__ = ["database", "pki", "postgres"]
