"""A story told step by step, several stories at once: what takes long in one is waited for in all."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Generic, TypeVar

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")


class Story(Generic[T]):
    """The steps of one life in order; each is a test of its own. After one that failed none is taken."""

    def __init__(self, life: T, steps: Sequence[Callable[[T], None]]) -> None:
        self._life = life
        self._outcomes: dict[Callable[[T], None], Future[bool]] = {step: Future() for step in steps}

    def tell(self) -> None:
        """Take the steps. Raises nothing: `hold` does."""
        failed = False
        for step, outcome in self._outcomes.items():
            if failed:
                outcome.set_result(False)
                continue
            try:
                step(self._life)
                outcome.set_result(True)
            except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
                outcome.set_exception(error)
                failed = True

    def hold(self, step: Callable[[T], None]) -> None:
        """Wait until the step was taken; raises what it raised."""
        if not self._outcomes[step].result():
            pytest.fail("not reached: an earlier step failed", pytrace=False)


def tell_together(stories: Sequence[Story[T]]) -> ThreadPoolExecutor:
    """Begin all of them. Shut the pool down to wait for their ends."""
    pool = ThreadPoolExecutor(len(stories))
    for story in stories:
        pool.submit(story.tell)
    return pool
