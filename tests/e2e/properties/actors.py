"""The tenants of a sequence: their way in, their keys, and what is known of each."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cli import tenancy
from tests.e2e.properties.model import Answer, Tenant

if TYPE_CHECKING:
    from collections.abc import Iterator

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
FEED_PIECE = 40


@dataclass(frozen=True, slots=True)
class Request:
    """A call without its credentials; `match` is its If-Match."""

    method: str
    path: str
    body: dict[str, Any] | None = None
    match: int | None = None

    def headers(self, repeat_key: str | None) -> dict[str, str]:
        found = {} if self.match is None else {"if-match": f'"{self.match}"'}
        return found if repeat_key is None else found | {"idempotency-key": repeat_key}


@dataclass(frozen=True, slots=True)
class Kept:
    """A request that was sent with an Idempotency-Key, and what every copy of it must be answered."""

    scope: str
    request: Request
    expected: Answer
    answer: httpx.Response = field(repr=False)


@dataclass
class Walk:
    """A walk by cursor through the live secrets that is under way, sorted by name."""

    cursor: str
    standing: dict[str, str]
    """Names by id of what has been there, with that name, since the walk began."""
    seen: list[str] = field(default_factory=list)


@dataclass
class Actor:
    """One tenant: its way in, its keys, its word, and what the model knows of it."""

    user: TenantUser
    word: str
    keys: dict[str, str] = field(repr=False)
    model: Tenant = field(default_factory=Tenant)
    kept: dict[str, Kept] = field(default_factory=dict)
    """By Idempotency-Key."""
    unspent: list[str] = field(default_factory=list)
    """Idempotency-Keys of requests whose refusals are not kept."""
    walk: Walk | None = None
    told: list[tuple[str, str]] = field(default_factory=list)
    """What was read of the audit's feed."""
    feed: str = ""
    """The cursor of the last event that was read."""

    def may(self, key: str, scope: str) -> bool:
        scopes = KEYS[key]
        return scopes is None or not scope or scope in scopes

    def call(self, key: str, request: Request, repeat_key: str | None = None) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.keys[key]}", **request.headers(repeat_key)}
        arguments: dict[str, Any] = {} if request.body is None else {"json": request.body}
        http = self.user.stack.http
        return http.request(request.method, request.path, headers=headers, **arguments)

    def marks(self) -> Iterator[str]:
        """What nobody else may ever be shown."""
        yield from (self.word, self.user.slug, self.user.id, *self.keys.values())
        model = self.model
        yield from (*model.secrets, *model.environments, *model.collections, *model.gone)

    def shut_out(self, answer: httpx.Response, sent: str) -> None:
        """That an answer to another tenant holds nothing of this one but what that one sent itself."""
        shown = f"{dict(answer.headers)} {answer.text}"
        for mark in self.marks():
            assert mark in sent or mark not in shown, (sent, mark)

    def read_feed(self, answer: httpx.Response) -> bool:
        """Take a piece of the feed in; whether it was the last. Events of keys are of no call of ours."""
        body = answer.json()
        for row in body["data"]:
            self.feed = row["cursor"]
            if not row["action"].startswith("kms."):
                self.told.append((row["action"], row["resource_id"]))
        return body["meta"]["next_cursor"] is None

    def next_events(self) -> Request:
        at = f"&cursor={self.feed}" if self.feed else ""
        return Request("GET", f"/v1/audit-logs/events?limit={FEED_PIECE}{at}")

    def drain_feed(self) -> None:
        """Read the feed to its end."""
        while not self.read_feed(self.call("auditor", self.next_events())):
            pass


def actor(stack: RunningStack) -> Actor:
    """A new tenant, of whose audit everything so far is read and forgotten."""
    user = stack.tenant()
    dsn = stack.stack.admin_dsn
    keys = {
        name: user.api_key if scopes is None else tenancy.create_api_key(dsn, user.id, name, scopes)
        for name, scopes in KEYS.items()
    }
    made = Actor(user, f"w{uuid.uuid4().hex}", keys)
    # The first look at the environments makes the default one.
    for row in made.call("all", Request("GET", "/v1/environments")).json()["data"]:
        made.model.environments[row["id"]] = row["name"]
    made.drain_feed()
    made.told.clear()
    return made
