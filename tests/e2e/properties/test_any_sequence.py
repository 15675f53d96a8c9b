"""What breaks when calls come in an order that nobody thought of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.e2e.properties.machine import Machine

if TYPE_CHECKING:
    from tests.fixtures.stack import RunningStack


def run(stack: RunningStack, sequences: int, calls: int) -> None:
    """That many sequences, each of up to so many calls."""

    class Bound(Machine):
        pass

    Bound.stack = stack
    limits = settings(
        max_examples=sequences,
        stateful_step_count=calls,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
        # A sequence takes a second or more: making it shorter would take longer than reading it.
        phases=(Phase.explicit, Phase.generate),
    )
    run_state_machine_as_test(Bound, settings=limits)


def test_any_sequence_of_calls_is_answered_as_the_model_answers_it(stack: RunningStack) -> None:
    run(stack, 6, 30)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_many_long_sequences_are_answered_as_the_model_answers_them(stack: RunningStack) -> None:
    run(stack, 60, 60)
