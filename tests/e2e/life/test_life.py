"""What breaks in the life of a tenant's key, in each cloud: from the first proof to after the key's end.

The three lives go on at the same time, because most of each is waiting for a TTL; every step of each is a
test, in order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from devcloud.customers import PROVIDERS
from tests.e2e.life.life import Life
from tests.e2e.life.steps import STEPS
from tests.e2e.life.story import Story, tell_together

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.fixtures.stack import RunningStack


@pytest.fixture(scope="module")
def stories(stack: RunningStack) -> Iterator[dict[str, Story[Life]]]:
    """A life in each cloud, under way."""
    made = {provider: Story(Life.new(stack, provider), STEPS) for provider in PROVIDERS}
    with tell_together(list(made.values())):
        yield made


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_key_lives_as_documented(
    stories: dict[str, Story[Life]], provider: str, step: Callable[[Life], None]
) -> None:
    stories[provider].hold(step)
