"""One faulty stack for all the cases of a test process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cli.local.services import SERVICES
from tests.faults.stack import FaultyStack, faulty_stack

if TYPE_CHECKING:
    from collections.abc import Iterator

CHILDREN = ("postgres", *SERVICES)


@pytest.fixture(scope="session")
def shared_faulty() -> Iterator[FaultyStack]:
    with faulty_stack() as made:
        yield made


@pytest.fixture
def faulty(shared_faulty: FaultyStack) -> Iterator[FaultyStack]:
    """The stack with all its processes, and no fault left armed afterwards."""
    for child in CHILDREN:
        shared_faulty.running.stack.wait_ready(child)
    yield shared_faulty
    shared_faulty.faults.disarm()
