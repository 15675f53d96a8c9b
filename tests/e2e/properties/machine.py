"""Any sequence of calls of two tenants, each with several keys, against the model of `model`.

After each call the answer is the model's, and holds nothing of the other tenant: everything that one tenant
stores is marked with a word of its own. At the end the audit tells what was done, in order, and no more.

One rule draws the operation: of many rules hypothesis would leave most out of each sequence.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.e2e.properties import looks, operations
from tests.e2e.properties.actors import Actor, Request, actor
from tests.e2e.properties.model import DEFAULT
from tests.e2e.properties.turns import Turn

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable

    from tests.fixtures.stack import RunningStack

CHANGES: dict[str, Callable[[Turn], None]] = {
    one.__name__: one
    for one in (
        operations.create,
        operations.put,
        operations.rename,
        operations.delete,
        operations.undelete,
        operations.restore_version,
        operations.remove_value,
        operations.make_environment,
        operations.drop_environment,
        operations.make_collection,
        operations.drop_collection,
    )
}
"""What even a short run must have done."""
OTHERS: dict[str, Callable[[Turn], None]] = {
    one.__name__: one
    for one in (
        operations.describe,
        operations.collect,
        operations.lose_base,
        operations.repeat,
        operations.repeat_otherwise,
        looks.look,
        looks.history,
        looks.fetch,
        looks.anothers,
        looks.deleted,
        looks.read_events,
        looks.walk,
    )
}
OPERATIONS = CHANGES | OTHERS
NOT_YET = (True, False)
"""How often an operation is drawn among those that came to nothing in this sequence so far. Hypothesis begins
with the first choice everywhere, which so is a sequence with each operation."""


class Machine(RuleBasedStateMachine):
    """Two fresh tenants for each sequence, with something in them."""

    stack: ClassVar[RunningStack]
    successes: ClassVar[Counter[str]]
    """Of each operation, over all sequences."""

    actors: tuple[Actor, ...] = ()
    has_failed = False

    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        self.actors = (actor(self.stack), actor(self.stack))
        self.done: set[str] = set()
        for who in (0, 1):
            self._guarded(seed, self._turn("seed", who, data, "all"))

    @rule(data=st.data(), who=st.sampled_from((0, 1)))
    def act(self, data: st.DataObject, who: int) -> None:
        names = [*OPERATIONS, *CHANGES]
        waiting = [name for name in names if name not in self.done]
        if waiting and data.draw(st.sampled_from(NOT_YET)):
            names = waiting
        name = data.draw(st.sampled_from(names))
        before = self.successes[name]
        self._guarded(OPERATIONS[name], self._turn(name, who, data))
        for one in (0, 1):
            self._guarded(looks.agree, self._turn("agree", one, data))
        if self.successes[name] > before:
            self.done.add(name)

    def teardown(self) -> None:
        if self.has_failed:
            return
        for one in self.actors:
            looks.fetch_all(one)
            one.drain_feed()
            assert one.told == one.model.events, _difference(one)
            checked = one.call("auditor", Request("GET", "/v1/audit-logs/verify")).json()["data"]
            assert (checked["ok"], checked["first_broken"]) == (True, None)

    def _turn(self, name: str, who: int, data: st.DataObject, key: str | None = None) -> Turn:
        mine, other = self.actors[who], self.actors[1 - who]
        return Turn(name, mine, other, data.draw, self.successes, key)

    def _guarded(self, operation: Callable[[Turn], None], turn: Turn) -> None:
        try:
            operation(turn)
        except BaseException:
            # What it found is not to be hidden by what that does to the audit.
            self.has_failed = True
            raise


def _difference(one: Actor) -> tuple[object, ...]:
    """Number, event of the feed and of the model, where they part."""
    both = enumerate(itertools.zip_longest(one.told, one.model.events))
    return next((number, *events) for number, events in both if events[0] != events[1])


def seed(turn: Turn) -> None:
    """Environments, a collection, secrets with values in two places, one with two versions, one deleted."""
    for place in operations.PLACES[1:3]:
        operations.make_environment_as(turn, place)
    operations.make_collection(turn)
    box = next(iter(turn.actor.model.collections))
    _seed_secret(turn, "a", (DEFAULT, "staging"), box)
    _seed_secret(turn, "b", ("staging", DEFAULT), None)
    _seed_secret(turn, "c", (DEFAULT, DEFAULT), box)
    deleted = _seed_secret(turn, "d", (DEFAULT, DEFAULT), None)
    operations.describe_as(turn, deleted, f"{turn.actor.word} says")
    operations.delete_one(turn, deleted)


def _seed_secret(turn: Turn, letter: str, places: tuple[str, str], box: str | None) -> str:
    made = operations.create_as(turn, f"{turn.actor.word}.{letter}", places[0], box)
    assert made is not None
    operations.put_as(turn, made, places[1], None)
    return made
