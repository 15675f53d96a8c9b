"""A few cases of the crash matrix, for every run of the tests; all of them are in the `_steps` files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.crash.rewrap.cases import Case, case_of, each, prove
from tests.faults.stack import FaultyStack, faulty_stack

if TYPE_CHECKING:
    from collections.abc import Iterator

KEYS = 900
FEW = (
    ("rewrap-batch-answered", "rewrap"),
    ("kms-wrapped", "kms"),
    ("secrets-swapped", "postgres"),
    ("rewrap-verify-answered", "secrets"),
)
"""Each process once, three while keys are moved and one while they are verified."""


@pytest.fixture(scope="module")
def shared_faulty() -> Iterator[FaultyStack]:
    """Gone when these few are done, so that no idle stack keeps the others' company."""
    with faulty_stack() as made:
        yield made


@each(case_of(*one) for one in FEW)
def test_a_rewrap_ends_right_though_a_process_dies_at_this_step(
    faulty: FaultyStack, case: Case
) -> None:
    prove(faulty, case, keys=KEYS)
