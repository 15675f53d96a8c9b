"""Fixtures that every kind of test shares; each is made in `tests/fixtures`."""

import os

import pytest
from hypothesis import HealthCheck, settings

from tests.fixtures.database import database, postgres
from tests.fixtures.pki import pki
from tests.fixtures.stack import stack, tenant

__all__ = ["database", "pki", "postgres", "stack", "tenant"]

# No test is timed: on a busy machine a slow draw or a slow example says nothing about the code.
settings.register_profile(
    "coffer",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=bool(os.environ.get("CI")),
)
settings.load_profile("coffer")

LONGEST_ID = 36


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Made keys and certificates differ between test processes, and a test's id must not."""
    del config
    generated = isinstance(val, bytes) or (isinstance(val, str) and len(val) > LONGEST_ID)
    return argname if generated else None
