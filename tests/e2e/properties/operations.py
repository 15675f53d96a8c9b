"""What a tenant may do that changes something, each with whatever is drawn for it."""

from __future__ import annotations

import dataclasses
import uuid
from typing import TYPE_CHECKING

from tests.e2e.properties.actors import Request
from tests.e2e.properties.model import DEFAULT
from tests.e2e.properties.turns import REPLAYED, same

if TYPE_CHECKING:
    from tests.e2e.properties.turns import Turn

LETTERS = (*"abcdefghijkl", *"ABCD")
PLACES = (DEFAULT, "staging", "dev", "qa")
NOWHERE = "nowhere"
SECRETS, GROUPS, PLACING = "secrets:write", "collections:write", "environments:write"


def _value(turn: Turn) -> str:
    return f"{turn.actor.word} value {uuid.uuid4()}"


def _name(turn: Turn, letter: str) -> str:
    return f"{turn.actor.word}.{letter}"


def _place(turn: Turn) -> str | None:
    named = set(turn.actor.model.environments.values())
    missing = [one for one in (*PLACES, NOWHERE) if one not in named]
    return turn.mostly([None, *sorted(named)], missing)


def _collection(turn: Turn) -> str | None:
    mine = list(turn.actor.model.collections)
    return turn.mostly([None, *mine], [one for one in turn.collections() if one not in mine])


# Secrets


def create(turn: Turn) -> None:
    name = turn.likely(
        [_name(turn, letter) for letter in LETTERS],
        lambda model, one: model.create(one, None, None),
    )
    create_as(turn, name, _place(turn), _collection(turn))


def create_as(turn: Turn, name: str, place: str | None, collection: str | None) -> str | None:
    """The id."""
    value = _value(turn)
    body = {"name": name, "value": value}
    body |= {"environment": place} if place else {}
    body |= {"collection_id": collection} if collection else {}
    request = Request("POST", "/v1/secrets", body)
    data = turn.write(SECRETS, request, lambda model: model.create(name, place, collection))
    if data is None:
        return None
    turn.actor.model.created(data["id"], name, value, place, collection)
    return str(data["id"])


def rename(turn: Turn) -> None:
    secret_id = turn.likely(turn.secrets(), lambda model, one: model.describe(one, None))
    name = turn.likely(
        [_name(turn, letter) for letter in LETTERS],
        lambda model, one: model.rename(secret_id, one),
    )
    request = Request("PATCH", f"/v1/secrets/{secret_id}", {"name": name})
    turn.write(SECRETS, request, lambda model: model.rename(secret_id, name))


def describe(turn: Turn) -> None:
    text = turn.pick((None, f"{turn.actor.word} says"))
    describe_as(
        turn, turn.likely(turn.secrets(), lambda model, one: model.describe(one, text)), text
    )


def describe_as(turn: Turn, secret_id: str, text: str | None) -> None:
    request = Request("PATCH", f"/v1/secrets/{secret_id}", {"description": text})
    turn.write(SECRETS, request, lambda model: model.describe(secret_id, text))


def collect(turn: Turn) -> None:
    collection = _collection(turn)
    secret_id = turn.likely(turn.secrets(), lambda model, one: model.collect(one, None))
    request = Request("PATCH", f"/v1/secrets/{secret_id}", {"collection_id": collection})
    turn.write(SECRETS, request, lambda model: model.collect(secret_id, collection))


def put(turn: Turn) -> None:
    secret_id = turn.likely(turn.secrets(), lambda model, one: model.describe(one, None))
    place = _place(turn)
    secret = turn.actor.model.find(secret_id)
    current = secret.current(place or secret.base) if secret else 1
    counted = secret.counters.get(place or secret.base, 0) if secret else 1
    put_as(turn, secret_id, place, turn.pick((None, current, None, current, 0, 1, counted)))


def put_as(turn: Turn, secret_id: str, place: str | None, match: int | None) -> None:
    value = _value(turn)
    body = {"value": value} | ({"environment": place} if place else {})
    request = Request("PUT", f"/v1/secrets/{secret_id}/value", body, match)
    data = turn.write(SECRETS, request, lambda model: model.put(secret_id, value, place, match))
    if data is not None:
        secret = turn.actor.model.secrets[secret_id]
        same(data["environment"], (place or secret.base))
        same(data["value_version"], secret.counters[data["environment"]])


def restore_version(turn: Turn) -> None:
    secret_id = turn.likely(turn.secrets(), lambda model, one: model.describe(one, None))
    place, version = turn.likely(
        [(place, version) for place in (*PLACES, NOWHERE) for version in range(1, 5)],
        lambda model, one: model.restore_version(secret_id, *one),
    )
    path = f"/v1/secrets/{secret_id}/versions/{version}/restore"
    request = Request("POST", path, {"environment": place})
    data = turn.write(
        SECRETS, request, lambda model: model.restore_version(secret_id, place, version)
    )
    if data is not None:
        secret = turn.actor.model.secrets[secret_id]
        same(data["value_version"], secret.counters[place])


def remove_value(turn: Turn) -> None:
    remove_from(
        turn,
        *turn.likely(
            [(one, place) for one in turn.secrets() for place in (*PLACES, NOWHERE)],
            lambda model, one: model.remove(*one),
        ),
    )


def remove_from(turn: Turn, secret_id: str, place: str) -> None:
    request = Request("DELETE", f"/v1/secrets/{secret_id}/environments/{place}")
    turn.write(SECRETS, request, lambda model: model.remove(secret_id, place))


def delete(turn: Turn) -> None:
    delete_one(turn, turn.likely(turn.secrets(), lambda model, one: model.delete(one)))


def delete_one(turn: Turn, secret_id: str) -> None:
    request = Request("DELETE", f"/v1/secrets/{secret_id}")
    turn.write(SECRETS, request, lambda model: model.delete(secret_id))


def undelete(turn: Turn) -> None:
    """Now and then with a base, which is asked for only where the old one is gone."""
    secret_id, base = turn.likely(
        [(one, base) for one in turn.secrets() for base in (None, *PLACES)],
        lambda model, one: model.undelete(*one),
    )
    body = {} if base is None else {"base_environment": base}
    request = Request("POST", f"/v1/secrets/{secret_id}/restore", body)
    turn.write(SECRETS, request, lambda model: model.undelete(secret_id, base))


def lose_base(turn: Turn) -> None:
    """What seldom comes about by itself: a deleted secret with another value, whose base goes."""
    able, model = dataclasses.replace(turn, name="losing a base", key="all"), turn.actor.model
    name = next(name for name in (_name(turn, one) for one in LETTERS) if not model.named(name))
    taken = {place for secret in model.live().values() for place in secret.values}
    place = next((one for one in PLACES[1:] if one not in taken), PLACES[1])
    if place not in model.environments.values():
        make_environment_as(able, place)
    made = create_as(able, name, place, None)
    if made is not None:
        put_as(able, made, DEFAULT, None)
        delete_one(able, made)
        ids = {name: one for one, name in model.environments.items()}
        drop_environment_by_id(able, ids[place])
        turn.successes[turn.name] += model.secrets[made].lost_base


# Groups


def make_environment(turn: Turn) -> None:
    make_environment_as(turn, turn.likely(PLACES, lambda model, one: model.make_environment(one)))


def make_environment_as(turn: Turn, name: str) -> None:
    request = Request("POST", "/v1/environments", {"name": name})
    data = turn.write(PLACING, request, lambda model: model.make_environment(name))
    if data is not None:
        turn.actor.model.made_environment(data["id"], name)


def drop_environment(turn: Turn) -> None:
    options = turn.environments()
    drop_environment_by_id(
        turn, turn.likely(options, lambda model, one: model.drop_environment(one))
    )


def drop_environment_by_id(turn: Turn, environment_id: str) -> None:
    request = Request("DELETE", f"/v1/environments/{environment_id}")
    turn.write(PLACING, request, lambda model: model.drop_environment(environment_id))


def make_collection(turn: Turn) -> None:
    name = turn.likely(
        [f"{turn.actor.word} {letter}" for letter in LETTERS],
        lambda model, one: model.make_collection(one),
    )
    data = turn.write(
        GROUPS,
        Request("POST", "/v1/collections", {"name": name}),
        lambda model: model.make_collection(name),
    )
    if data is not None:
        turn.actor.model.made_collection(data["id"], name)


def drop_collection(turn: Turn) -> None:
    collection_id = turn.likely(turn.collections(), lambda model, one: model.drop_collection(one))
    request = Request("DELETE", f"/v1/collections/{collection_id}")
    turn.write(GROUPS, request, lambda model: model.drop_collection(collection_id))


# Repeats


def repeat(turn: Turn) -> None:
    """The same request under its key, perhaps with another API key: the same answer, and nothing done."""
    if not turn.actor.kept:
        return
    repeat_key = turn.pick(list(turn.actor.kept))
    kept = turn.actor.kept[repeat_key]
    key = turn.key_for(kept.scope)
    if not turn.actor.may(key, kept.scope):
        turn.say(key, kept.request, (403, "insufficient_scope"), repeat_key)
        return
    answer = turn.say(key, kept.request, kept.expected, repeat_key)
    first = kept.answer.json()
    again = answer.json()
    same(again.get("data"), first.get("data"))
    same(again.get("error", {}).get("message"), first.get("error", {}).get("message"))
    for name in ("location", "etag"):
        same(answer.headers.get(name), kept.answer.headers.get(name))
    assert answer.headers.get(REPLAYED) == "true", kept
    turn.successes[turn.name] += 1


def repeat_otherwise(turn: Turn) -> None:
    """Another request under a key that is used."""
    if not turn.actor.kept:
        return
    repeat_key = turn.pick(list(turn.actor.kept))
    request = turn.actor.kept[repeat_key].request
    changed = [name for name in ("value", "name") if request.body and name in request.body]
    if changed and request.body:
        body = request.body | {changed[0]: f"{request.body[changed[0]]}x"}
        request = dataclasses.replace(request, body=body)
    else:
        request = Request("POST", "/v1/collections", {"name": f"{turn.actor.word} never"})
    turn.say("all", request, (409, "idempotency_conflict"), repeat_key)
    turn.successes[turn.name] += 1
