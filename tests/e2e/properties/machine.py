"""Any sequence of calls of two tenants, each with several keys, against the model of `model`.

After each call the answer is the model's, and holds nothing of the other tenant: everything that one tenant
stores is marked with a word of its own.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from cli import tenancy
from services.common.errors import CofferError
from tests.e2e.properties.model import DEFAULT, Answer, Secret, Tenant

if TYPE_CHECKING:
    import httpx

    from tests.fixtures.stack import RunningStack
    from tests.fixtures.tenant_user import TenantUser

KEYS = {
    "all": None,
    "reader": ("secrets:read",),
    "writer": ("secrets:write",),
    "keeper": ("collections:write", "environments:write"),
    "auditor": ("audit:read",),
}
"""Scopes by the name of a key; None: every scope."""
LETTERS = ("a", "b", "c", "A")
ENVIRONMENTS = (DEFAULT, "staging", "dev", "nowhere")
FORBIDDEN: Answer = (403, "insufficient_scope")

who = st.sampled_from((0, 1))
any_key = st.sampled_from((*KEYS, *["all"] * 12))
letter = st.sampled_from(LETTERS)
place = st.sampled_from(ENVIRONMENTS)
pick = st.integers(0, 7)
maybe = st.booleans()


@dataclass
class Actor:
    """One tenant: its way in, its keys, its word, and what the model knows of it."""

    user: TenantUser
    word: str
    keys: dict[str, str] = field(repr=False)
    model: Tenant = field(default_factory=Tenant)

    def may(self, key: str, scope: str) -> bool:
        scopes = KEYS[key]
        return scopes is None or not scope or scope in scopes

    def call(self, key: str, method: str, path: str, **arguments: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.keys[key]}", **arguments.pop("headers", {})}
        return self.user.stack.http.request(method, path, headers=headers, **arguments)


class Machine(RuleBasedStateMachine):
    """Two fresh tenants for each sequence."""

    stack: ClassVar[RunningStack]

    @initialize()
    def begin(self) -> None:
        self.actors = [self._actor(), self._actor()]

    def _actor(self) -> Actor:
        user = self.stack.tenant()
        keys = {
            name: user.api_key
            if scopes is None
            else tenancy.create_api_key(self.stack.stack.admin_dsn, user.id, name, scopes)
            for name, scopes in KEYS.items()
        }
        actor = Actor(user, f"w{uuid.uuid4().hex}", keys)
        for row in actor.call("all", "GET", "/v1/environments").json()["data"]:
            actor.model.environments[row["id"]] = row["name"]
        return actor

    # Calls

    def say(
        self,
        actor: Actor,
        key: str,
        scope: str,
        expected: Answer,
        call: tuple[str, str],
        **how: Any,
    ) -> Any:
        """Make the call; its `data` if the answer is a success, which must be the expected one."""
        if not actor.may(key, scope):
            expected = FORBIDDEN
        answer = actor.call(key, *call, **how)
        body = answer.json()
        found = (answer.status_code, body.get("error", {}).get("type"))
        assert found == expected, (call, how, found, expected, answer.text)
        other = next(one for one in self.actors if one is not actor)
        for mine in (other.word, other.user.slug, *other.model.secrets, *other.model.collections):
            assert mine not in answer.text, (call, mine)
        return body.get("data")

    def secret_id(self, actor: Actor, number: int) -> str:
        """Something that there is, was, or never was."""
        known = [*actor.model.secrets, *actor.model.gone, str(uuid.uuid4())]
        return known[number % len(known)]

    # Rules. What only a key that may changes the model is asked of the model only for such a key.

    @rule(who=who, key=any_key, letter=letter, place=place, named=maybe, collected=maybe)
    def create(
        self, who: int, key: str, letter: str, place: str, named: bool, collected: bool
    ) -> None:
        actor = self.actors[who]
        name, value = f"{actor.word}.{letter}", f"{actor.word} value {uuid.uuid4()}"
        body: dict[str, Any] = {"name": name, "value": value}
        environment = place if named else None
        collection = next(iter(actor.model.collections), None) if collected else None
        if environment:
            body["environment"] = environment
        if collection:
            body["collection_id"] = collection
        expected = actor.model.create(name, environment, collection)
        data = self.say(actor, key, "secrets:write", expected, ("POST", "/v1/secrets"), json=body)
        if data is not None:
            actor.model.created(data["id"], name, value, environment, collection)

    @rule(who=who, key=any_key, number=pick, letter=letter)
    def rename(self, who: int, key: str, number: int, letter: str) -> None:
        actor, secret_id = self.actors[who], self.secret_id(self.actors[who], number)
        name = f"{actor.word}.{letter}"
        expected = (
            actor.model.rename(secret_id, name) if actor.may(key, "secrets:write") else FORBIDDEN
        )
        path = ("PATCH", f"/v1/secrets/{secret_id}")
        self.say(actor, key, "secrets:write", expected, path, json={"name": name})

    @rule(who=who, key=any_key, number=pick, cleared=maybe)
    def describe(self, who: int, key: str, number: int, cleared: bool) -> None:
        actor, secret_id = self.actors[who], self.secret_id(self.actors[who], number)
        text = None if cleared else f"{actor.word} says"
        may = actor.may(key, "secrets:write")
        expected = actor.model.describe(secret_id, text) if may else FORBIDDEN
        path = ("PATCH", f"/v1/secrets/{secret_id}")
        self.say(actor, key, "secrets:write", expected, path, json={"description": text})

    @rule(who=who, key=any_key, number=pick, taken_out=maybe)
    def collect(self, who: int, key: str, number: int, taken_out: bool) -> None:
        actor, secret_id = self.actors[who], self.secret_id(self.actors[who], number)
        known = [*actor.model.collections, *actor.model.gone, str(uuid.uuid4())]
        collection = None if taken_out else known[number % len(known)]
        may = actor.may(key, "secrets:write")
        expected = actor.model.collect(secret_id, collection) if may else FORBIDDEN
        path = ("PATCH", f"/v1/secrets/{secret_id}")
        self.say(actor, key, "secrets:write", expected, path, json={"collection_id": collection})

    @rule(
        who=who,
        key=any_key,
        number=pick,
        place=place,
        named=maybe,
        match=st.none() | st.integers(0, 3),
    )
    def put(
        self,
        who: int,
        key: str,
        number: int,
        place: str,
        named: bool,
        match: int | None,
    ) -> None:
        actor, secret_id = self.actors[who], self.secret_id(self.actors[who], number)
        value, environment = f"{actor.word} value {uuid.uuid4()}", place if named else None
        may = actor.may(key, "secrets:write")
        expected = actor.model.put(secret_id, value, environment, match) if may else FORBIDDEN
        body = {"value": value} | ({"environment": environment} if environment else {})
        headers = {} if match is None else {"if-match": f'"{match}"'}
        path = ("PUT", f"/v1/secrets/{secret_id}/value")
        data = self.say(actor, key, "secrets:write", expected, path, json=body, headers=headers)
        if data is not None:
            secret = actor.model.secrets[secret_id]
            assert data["environment"] == (environment or secret.base)
            assert data["value_version"] == secret.counters[data["environment"]]

    @rule(who=who, key=any_key, number=pick, version=st.integers(1, 4))
    def restore_version(self, who: int, key: str, number: int, version: int) -> None:
        actor, secret_id = self.actors[who], self.secret_id(self.actors[who], number)
        secret = actor.model.secrets.get(secret_id)
        environment = next(iter(secret.values), DEFAULT) if secret else DEFAULT
        may = actor.may(key, "secrets:write")
        expected = (
            actor.model.restore_version(secret_id, environment, version) if may else FORBIDDEN
        )
        path = ("POST", f"/v1/secrets/{secret_id}/versions/{version}/restore")
        self.say(actor, key, "secrets:write", expected, path, json={"environment": environment})

    @rule(who=who, key=any_key, number=pick, place=st.sampled_from(ENVIRONMENTS[:3]))
    def remove_value(self, who: int, key: str, number: int, place: str) -> None:
        actor, secret_id = self.actors[who], self.secret_id(self.actors[who], number)
        may = actor.may(key, "secrets:write")
        expected = actor.model.remove(secret_id, place) if may else FORBIDDEN
        path = ("DELETE", f"/v1/secrets/{secret_id}/environments/{place}")
        self.say(actor, key, "secrets:write", expected, path)

    @rule(who=who, key=any_key, number=pick)
    def delete(self, who: int, key: str, number: int) -> None:
        actor, secret_id = self.actors[who], self.secret_id(self.actors[who], number)
        may = actor.may(key, "secrets:write")
        expected = actor.model.delete(secret_id) if may else FORBIDDEN
        self.say(actor, key, "secrets:write", expected, ("DELETE", f"/v1/secrets/{secret_id}"))

    @rule(who=who, key=any_key, number=pick)
    def undelete(self, who: int, key: str, number: int) -> None:
        self._undelete(self.actors[who], key, self.secret_id(self.actors[who], number), None)

    @rule(who=who, key=any_key, number=pick, place=place)
    def undelete_to(self, who: int, key: str, number: int, place: str) -> None:
        """With a base, which is asked for only where the old one is gone."""
        self._undelete(self.actors[who], key, self.secret_id(self.actors[who], number), place)

    def _undelete(self, actor: Actor, key: str, secret_id: str, base: str | None) -> None:
        may = actor.may(key, "secrets:write")
        expected = actor.model.undelete(secret_id, base) if may else FORBIDDEN
        path = ("POST", f"/v1/secrets/{secret_id}/restore")
        body = {} if base is None else {"base_environment": base}
        self.say(actor, key, "secrets:write", expected, path, json=body)

    @rule(who=who, key=any_key, place=st.sampled_from(ENVIRONMENTS[1:3]))
    def make_environment(self, who: int, key: str, place: str) -> None:
        actor = self.actors[who]
        expected = actor.model.make_environment(place)
        path = ("POST", "/v1/environments")
        data = self.say(actor, key, "environments:write", expected, path, json={"name": place})
        if data is not None:
            actor.model.environments[data["id"]] = place

    @rule(who=who, key=any_key, number=pick)
    def drop_environment(self, who: int, key: str, number: int) -> None:
        actor = self.actors[who]
        known = [*actor.model.environments, *actor.model.gone, str(uuid.uuid4())]
        environment_id = known[number % len(known)]
        may = actor.may(key, "environments:write")
        expected = actor.model.drop_environment(environment_id) if may else FORBIDDEN
        path = ("DELETE", f"/v1/environments/{environment_id}")
        self.say(actor, key, "environments:write", expected, path)

    @rule(who=who, letter=letter)
    def lose_base(self, who: int, letter: str) -> None:
        """What seldom comes about by itself: a deleted secret with another value, whose base goes."""
        actor = self.actors[who]
        place = ENVIRONMENTS[1]
        if place not in actor.model.environments.values():
            self.make_environment(who, "all", place)
        self.create(who, "all", letter, place, True, False)
        secrets, environments = actor.model.secrets, actor.model.environments
        name = f"{actor.word}.{letter}"
        number = next(n for n, key in enumerate(secrets) if secrets[key] is actor.model.named(name))
        secret_id = self.secret_id(actor, number)
        self.put(who, "all", number, DEFAULT, True, None)
        self.delete(who, "all", number)
        self.drop_environment(who, "all", list(environments.values()).index(place))
        self._undelete(actor, "all", secret_id, None)
        self._undelete(actor, "all", secret_id, DEFAULT)

    @rule(who=who, key=any_key, letter=letter)
    def make_collection(self, who: int, key: str, letter: str) -> None:
        actor = self.actors[who]
        name = f"{actor.word} {letter}"
        expected = actor.model.make_collection(name)
        path = ("POST", "/v1/collections")
        data = self.say(actor, key, "collections:write", expected, path, json={"name": name})
        if data is not None:
            actor.model.collections[data["id"]] = name

    @rule(who=who, key=any_key, number=pick)
    def drop_collection(self, who: int, key: str, number: int) -> None:
        actor = self.actors[who]
        known = [*actor.model.collections, *actor.model.gone, str(uuid.uuid4())]
        collection_id = known[number % len(known)]
        may = actor.may(key, "collections:write")
        expected = actor.model.drop_collection(collection_id) if may else FORBIDDEN
        path = ("DELETE", f"/v1/collections/{collection_id}")
        self.say(actor, key, "collections:write", expected, path)

    @rule(who=who, key=any_key, number=pick)
    def look(self, who: int, key: str, number: int) -> None:
        actor, secret_id = self.actors[who], self.secret_id(self.actors[who], number)
        secret = actor.model.find(secret_id)
        expected: Answer = (200, None) if secret else (404, "not_found")
        data = self.say(actor, key, "secrets:read", expected, ("GET", f"/v1/secrets/{secret_id}"))
        if data is not None and secret is not None:
            shown = {one["environment_name"]: one["value_version"] for one in data["environments"]}
            kept = {name: secret.current(name) for name, found in secret.values.items() if found}
            assert shown == kept
            assert list(shown) == sorted(shown)
            history = ("GET", f"/v1/secrets/{secret_id}/versions?per_page=100")
            rows = self.say(actor, key, "secrets:read", (200, None), history)
            versions = [row["value_version"] for row in rows]
            assert versions == sorted(secret.values[secret.base], reverse=True)

    @rule(who=who, number=pick)
    def anothers(self, who: int, number: int) -> None:
        """What is another tenant's is as good as nothing."""
        actor, other = self.actors[who], self.actors[1 - who]
        ids = list(other.model.secrets)
        if not ids:
            return
        path = f"/v1/secrets/{ids[number % len(ids)]}"
        for method, more, body in (
            ("GET", "", None),
            ("GET", "/versions", None),
            ("PATCH", "", {"description": "x"}),
            ("PUT", "/value", {"value": "x"}),
            ("POST", "/versions/1/restore", {}),
            ("POST", "/restore", {}),
            ("DELETE", f"/environments/{DEFAULT}", None),
            ("DELETE", "", None),
        ):
            answer = actor.call("all", method, path + more, json=body)
            assert answer.status_code == 404, answer.text

    @rule(who=who, number=pick)
    def fetch(self, who: int, number: int) -> None:
        """The value that a consumer gets is the one last stored."""
        actor, secret_id = self.actors[who], self.secret_id(self.actors[who], number)
        secret = actor.model.find(secret_id)
        try:
            found = actor.user.access(secret_id=secret_id)
        except CofferError as error:
            told = error.code
        else:
            told = found.value
        assert told == (
            secret.values[secret.base][secret.current(secret.base)] if secret else "not_found"
        )

    @invariant()
    def lists_agree(self) -> None:
        for actor in getattr(self, "actors", ()):
            rows = self.say(
                actor, "reader", "secrets:read", (200, None), ("GET", "/v1/secrets?per_page=100")
            )
            live = sorted(actor.model.live().values(), key=lambda secret: secret.name)
            assert [_shown(row) for row in rows] == [_kept(secret) for secret in live]
            groups = self.say(
                actor, "auditor", "", (200, None), ("GET", "/v1/collections?per_page=100")
            )
            counted = {row["id"]: row["secret_count"] for row in groups}
            kept = [secret.collection for secret in live]
            assert counted == {one: kept.count(one) for one in actor.model.collections}


def _shown(row: dict[str, Any]) -> tuple[Any, ...]:
    names = ("name", "description", "collection_id", "base_environment", "value_version")
    return tuple(row[name] for name in names)


def _kept(secret: Secret) -> tuple[Any, ...]:
    version = secret.current(secret.base)
    return secret.name, secret.description, secret.collection, secret.base, version
