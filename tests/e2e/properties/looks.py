"""What a tenant may look at, and what must not be there for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from services.common.errors import CofferError
from tests.e2e.properties.actors import Request, Walk
from tests.e2e.properties.model import DEFAULT, INVALID, NOT_FOUND, Secret
from tests.e2e.properties.operations import NOWHERE, PLACES
from tests.e2e.properties.turns import same

if TYPE_CHECKING:
    from tests.e2e.properties.actors import Actor
    from tests.e2e.properties.turns import Turn

READ = "secrets:read"
PIECE = 2
"""Rows of one piece of a walk."""


def look(turn: Turn) -> None:
    secret_id = turn.likely(turn.secrets(), lambda model, one: model.describe(one, None))
    secret = turn.actor.model.find(secret_id)
    found = turn.read(READ, f"/v1/secrets/{secret_id}", (200, None) if secret else NOT_FOUND)
    if found is not None and secret is not None:
        rows = found["data"]["environments"]
        names = [one["environment_name"] for one in rows]
        kept = {name: secret.current(name) for name, some in secret.values.items() if some}
        same(names, sorted(kept))
        same({one["environment_name"]: one["value_version"] for one in rows}, kept)


def history(turn: Turn) -> None:
    secret_id = turn.likely(turn.secrets(), lambda model, one: model.describe(one, None))
    secret = turn.actor.model.find(secret_id)
    known = set(turn.actor.model.environments.values())
    place = turn.pick((None, *PLACES, NOWHERE))
    expected = INVALID if place is not None and place not in known else (200, None)
    if secret is None:
        expected = NOT_FOUND
    at = "" if place is None else f"&environment={place}"
    path = f"/v1/secrets/{secret_id}/versions?per_page=100{at}"
    found = turn.read(READ, path, expected)
    if found is not None and secret is not None:
        versions = [row["value_version"] for row in found["data"]]
        same(versions, sorted(secret.values.get(place or secret.base, {}), reverse=True))


def fetch(turn: Turn) -> None:
    """A consumer gets just the value that was stored there, by id and by name."""
    model = turn.actor.model
    secret_id = turn.likely(turn.secrets(), lambda model, one: model.describe(one, None))
    secret = model.find(secret_id)
    place = turn.pick((None, *PLACES, NOWHERE))
    newest = secret.current(place or secret.base) if secret else 0
    version = turn.pick((None, *range(1, newest + 2)))
    question: dict[str, Any] = {"secret_id": secret_id}
    if secret is not None and turn.pick((True, False)):
        question = {"name": secret.name}
    question |= {} if place is None else {"environment": place}
    question |= {} if version is None else {"value_version": version}
    expected = model.fetch(secret, place, version)
    if _fetched(turn.actor, secret_id, question, expected):
        turn.successes[turn.name] += 1


def fetch_all(actor: Actor) -> None:
    """A consumer gets every value that there is, old ones too."""
    for secret_id, secret in actor.model.live().items():
        for place, kept in secret.values.items():
            for version, value in kept.items():
                question = {"environment": place, "value_version": version}
                _fetched(actor, secret_id, {"secret_id": secret_id, **question}, value)


def _fetched(actor: Actor, secret_id: str, question: dict[str, Any], expected: str) -> bool:
    """Whether it got the value and not the refusal."""
    try:
        told = actor.user.access(**question).value
    except CofferError as error:
        told = error.code
    assert told == expected, (question, told, expected)
    if told == "not_found":
        return False
    actor.model.events.append(("secret.accessed", secret_id))
    return True


def anothers(turn: Turn) -> None:
    """What is another tenant's is as good as nothing, in a path, in a body and in a filter."""
    theirs = turn.other.model
    paths: list[tuple[str, str, dict[str, Any] | None]] = []
    if theirs.secrets:
        path = f"/v1/secrets/{turn.pick(list(theirs.secrets))}"
        paths += [
            ("GET", path, None),
            ("GET", f"{path}/versions", None),
            ("PATCH", path, {"description": "x"}),
            ("PUT", f"{path}/value", {"value": "x"}),
            ("POST", f"{path}/versions/1/restore", {}),
            ("POST", f"{path}/restore", {}),
            ("DELETE", f"{path}/environments/{DEFAULT}", None),
            ("DELETE", path, None),
        ]
    path = f"/v1/environments/{turn.pick(list(theirs.environments))}"
    paths += [("PATCH", path, {"description": "x"}), ("DELETE", path, None)]
    if theirs.collections:
        collection = turn.pick(list(theirs.collections))
        path = f"/v1/collections/{collection}"
        paths += [
            ("GET", path, None),
            ("PATCH", path, {"description": "x"}),
            ("DELETE", path, None),
        ]
        listed = Request("GET", f"/v1/secrets?collection_id={collection}")
        same(turn.say("all", listed, (200, None)).json()["data"], [])
        body = {"name": f"{turn.actor.word}.x", "value": "x", "collection_id": collection}
        turn.say("all", Request("POST", "/v1/secrets", body), INVALID)
        turn.successes[turn.name] += 1
    for method, path, sent in paths:
        turn.say("all", Request(method, path, sent), NOT_FOUND)


def deleted(turn: Turn) -> None:
    """What can be restored."""
    found = turn.read(READ, "/v1/secrets?deleted=true&per_page=100")
    if found is not None:
        kept = {key: _kept(one) for key, one in turn.actor.model.secrets.items() if one.deleted}
        same((found["meta"]["total"], len(found["data"])), (len(kept), len(kept)))
        same({row["id"]: _shown(row) for row in found["data"]}, kept)


def read_events(turn: Turn) -> None:
    """The next piece of the feed; the end of the sequence compares."""
    turn.actor.read_feed(turn.say("auditor", turn.actor.next_events(), (200, None)))
    turn.successes[turn.name] += 1


def walk(turn: Turn) -> None:
    """The next piece of a walk, or the first one: what stood all along comes exactly once."""
    actor = turn.actor
    under_way = actor.walk or Walk("", standing(actor))
    path = f"/v1/secrets?cursor={under_way.cursor}&limit={PIECE}"
    body = turn.say("reader", Request("GET", path), (200, None)).json()
    under_way.seen += [row["id"] for row in body["data"]]
    under_way.cursor = body["meta"]["next_cursor"]
    actor.walk = under_way if under_way.cursor else None
    if actor.walk is None:
        counts = {one: under_way.seen.count(one) for one in under_way.standing}
        assert set(counts.values()) <= {1}, counts
        turn.successes[turn.name] += 1


def standing(actor: Actor) -> dict[str, str]:
    """Names by id of what is there."""
    return {one: secret.name for one, secret in actor.model.live().items()}


def agree(turn: Turn) -> None:
    """That the lists of a tenant are the model's; and what of a walk's beginning stands is seen to."""
    actor = turn.actor
    live = sorted(actor.model.live().values(), key=lambda secret: secret.name)
    body = turn.say("reader", Request("GET", "/v1/secrets?per_page=100"), (200, None)).json()
    same([_shown(row) for row in body["data"]], [_kept(secret) for secret in live])
    same(body["meta"]["total"], len(live))
    groups = turn.say("auditor", Request("GET", "/v1/collections?per_page=100"), (200, None))
    counted = {row["id"]: row["secret_count"] for row in groups.json()["data"]}
    kept = [secret.collection for secret in live]
    same(counted, {one: kept.count(one) for one in actor.model.collections})
    if actor.walk is not None:
        now = standing(actor)
        actor.walk.standing = {
            one: name for one, name in actor.walk.standing.items() if now.get(one) == name
        }


def _shown(row: dict[str, Any]) -> tuple[Any, ...]:
    names = ("name", "description", "collection_id", "base_environment", "value_version")
    return tuple(row[name] for name in names)


def _kept(secret: Secret) -> tuple[Any, ...]:
    version = secret.current(secret.base)
    return secret.name, secret.description, secret.collection, secret.base, version
