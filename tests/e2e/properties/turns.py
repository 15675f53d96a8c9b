"""One step of a sequence: who does it, what is drawn for it, and how its calls are made and compared."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from hypothesis import strategies as st

from tests.e2e.properties.actors import KEYS, Actor, Kept, Request

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Sequence

    import httpx

    from tests.e2e.properties.model import Answer, Tenant

T = TypeVar("T")

FORBIDDEN: Answer = (403, "insufficient_scope")
REPLAYED = "idempotent-replayed"
KEPT = ("not_found", "conflict", "version_mismatch", "invalid_state")
"""Refusals that a repeated request is answered with again."""
MOSTLY = (True,) * 7 + (False,)
KEYED = (True, False, False)


@dataclass(frozen=True)
class Turn:
    """What an operation is given. `key`: the only one to be used, if it is not to be drawn."""

    name: str
    actor: Actor
    other: Actor
    draw: Callable[[st.SearchStrategy[Any]], Any]
    successes: Counter[str]
    key: str | None = None

    # Drawing

    def pick(self, options: Sequence[T]) -> T:
        found: T = self.draw(st.sampled_from(options))
        return found

    def mostly(self, good: Sequence[T], rest: Sequence[T]) -> T:
        """One of what is likely to be of use, and now and then another one."""
        return self.pick(good if good and (not rest or self.pick(MOSTLY)) else rest)

    def likely(self, options: Sequence[T], attempt: Callable[[Tenant, T], Answer]) -> T:
        """Mostly one with which the attempt comes to something, all of them alike."""
        good = [one for one in options if attempt(self.actor.model.twin(), one)[0] < 300]
        return self.mostly(good, [one for one in options if one not in good])

    def key_for(self, scope: str) -> str:
        if self.key is not None:
            return self.key
        able = [name for name in KEYS if self.actor.may(name, scope)]
        return self.mostly(able, [name for name in KEYS if name not in able])

    # Ids: of what there is, was, never was, and is another tenant's

    def secrets(self) -> list[str]:
        return self._with_strange(self.actor.model.secrets, self.other.model.secrets)

    def environments(self) -> list[str]:
        return self._with_strange(self.actor.model.environments, self.other.model.environments)

    def collections(self) -> list[str]:
        return self._with_strange(self.actor.model.collections, self.other.model.collections)

    def _with_strange(self, mine: dict[str, Any], others: dict[str, Any]) -> list[str]:
        return [*mine, *sorted(self.actor.model.gone), *others, str(uuid.uuid4())]

    # Calls

    def send(self, key: str, request: Request, repeat_key: str | None = None) -> httpx.Response:
        """The answer, which holds nothing of the other tenant but what was sent itself."""
        answer = self.actor.call(key, request, repeat_key)
        self.other.shut_out(answer, f"{request}")
        return answer

    def say(
        self, key: str, request: Request, expected: Answer, repeat_key: str | None = None
    ) -> httpx.Response:
        """The answer, which is the expected one."""
        answer = self.send(key, request, repeat_key)
        found = (answer.status_code, answer.json().get("error", {}).get("type"))
        told = (self.name, key, request, repeat_key, found, expected, answer.text)
        assert found == expected, told
        return answer

    def read(self, scope: str, path: str, expected: Answer = (200, None)) -> Any:
        """The body of a GET if it succeeds, as it must for a key that may."""
        key = self.key_for(scope)
        if not self.actor.may(key, scope):
            expected = FORBIDDEN
        answer = self.say(key, Request("GET", path), expected)
        if expected[0] >= 300:
            return None
        self.successes[self.name] += 1
        return answer.json()

    def write(self, scope: str, request: Request, effect: Callable[[Tenant], Answer]) -> Any:
        """`data` if it succeeds. Only for a key that may does the model do it, too."""
        key, repeat_key = self.key_for(scope), self._repeat_key()
        expected = effect(self.actor.model) if self.actor.may(key, scope) else FORBIDDEN
        answer = self.say(key, request, expected, repeat_key)
        assert REPLAYED not in answer.headers, (self.name, request, repeat_key)
        if repeat_key is not None:
            if expected[0] < 300 or expected[1] in KEPT:
                self.actor.kept[repeat_key] = Kept(scope, request, expected, answer)
            else:
                self.actor.unspent.append(repeat_key)
        if expected[0] >= 300:
            return None
        self.successes[self.name] += 1
        return answer.json()["data"]

    def _repeat_key(self) -> str | None:
        """A new Idempotency-Key, one whose request was refused and not kept, or one of the other tenant."""
        if not self.pick(KEYED):
            return None
        used = [*self.actor.unspent, *self.other.kept]
        return self.pick(
            [f"k{uuid.uuid4().hex}", *(one for one in used if one not in self.actor.kept)]
        )


def same(found: object, expected: object) -> None:
    """Says both if they differ: pytest takes no assertion of ours apart outside of test files."""
    assert found == expected, f"found {found}, expected {expected}"
