"""kill -9 of each process at each step of a rewrap that happens inside kms."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.crash.rewrap.cases import Case, each, matrix, prove

if TYPE_CHECKING:
    from tests.faults.stack import FaultyStack

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


@each(matrix("kms"))
def test_a_rewrap_ends_right_though_a_process_dies_at_this_step(
    faulty: FaultyStack, case: Case
) -> None:
    prove(faulty, case)
