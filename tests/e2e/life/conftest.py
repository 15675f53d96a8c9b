"""Lets what asserts outside the test files say what it found."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("tests.e2e.life.life", "tests.e2e.life.steps")
