"""What breaks when calls come in an order that nobody thought of."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test

from tests.e2e.properties import operations
from tests.e2e.properties.actors import actor
from tests.e2e.properties.machine import CHANGES, OPERATIONS, Machine
from tests.e2e.properties.model import DEFAULT
from tests.e2e.properties.turns import Turn

if TYPE_CHECKING:
    from tests.fixtures.stack import RunningStack


def run(stack: RunningStack, sequences: int, calls: int) -> Counter[str]:
    """That many sequences, each of up to so many calls. How often each operation came to something."""

    class Bound(Machine):
        pass

    Bound.stack = stack
    Bound.successes = Counter()
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
    return Bound.successes


def nothing(_strategy: st.SearchStrategy[Any]) -> None:
    """What a turn draws where nothing is left to chance: no Idempotency-Key."""


def test_any_sequence_of_calls_is_answered_as_the_model_answers_it(stack: RunningStack) -> None:
    done = run(stack, 6, 40)
    assert not [name for name in CHANGES if not done[name]], done


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_many_long_sequences_are_answered_as_the_model_answers_them(stack: RunningStack) -> None:
    done = run(stack, 40, 60)
    assert not [name for name in OPERATIONS if not done[name]], done


def test_a_removed_value_does_not_set_the_versions_back(stack: RunningStack) -> None:
    mine = actor(stack)
    done: Counter[str] = Counter()
    turn = Turn("by hand", mine, actor(stack), nothing, done, "all")
    operations.make_environment_as(turn, "staging")
    made = operations.create_as(turn, f"{mine.word}.a", DEFAULT, None)
    assert made is not None
    operations.put_as(turn, made, "staging", 0)
    operations.put_as(turn, made, "staging", 1)
    operations.remove_from(turn, made, "staging")
    operations.put_as(turn, made, "staging", 2)
    operations.put_as(turn, made, "staging", 0)
    assert done["by hand"] == 6
    assert mine.model.secrets[made].values["staging"].keys() == {3}
    mine.drain_feed()
    assert mine.told == mine.model.events
