"""What breaks when collections, environments and API keys are managed from a shell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from cli.exits import Exit
from tests.fakes.cli_gateway import identifier, page

if TYPE_CHECKING:
    from tests.fakes.cli_gateway import Gateway
    from tests.fixtures.command_line import Coffer

ID = identifier(7)
COLLECTION: dict[str, Any] = {
    "id": ID,
    "name": "billing",
    "description": None,
    "secret_count": 2,
    "created_at": "2026-03-15T12:00:00.000Z",
}
ENVIRONMENT: dict[str, Any] = {
    "id": ID,
    "name": "staging",
    "display_name": "Staging",
    "description": None,
    "color": "#6b7280",
    "is_default": False,
    "created_at": "2026-03-15T12:00:00.000Z",
}
KEY: dict[str, Any] = {
    "id": ID,
    "key_id": "key_1",
    "key_prefix": "tk_live_ab",
    "name": "ci",
    "scopes": ["secrets:read"],
    "expires_at": None,
    "created_at": "2026-03-15T12:00:00.000Z",
}
MADE = KEY | {"api_key": "tk_live_made"}


@pytest.fixture
def things(coffer: Coffer, gateway: Gateway) -> Coffer:
    """With one of each."""
    gateway.answers |= {
        "GET /v1/collections": page(COLLECTION),
        "POST /v1/collections": (201, {"data": COLLECTION}),
        f"GET /v1/collections/{ID}": (200, {"data": COLLECTION}),
        f"PATCH /v1/collections/{ID}": (200, {"data": COLLECTION}),
        "GET /v1/environments": page(ENVIRONMENT),
        "POST /v1/environments": (201, {"data": ENVIRONMENT}),
        f"PATCH /v1/environments/{ID}": (200, {"data": ENVIRONMENT}),
        "GET /v1/api-keys": page(KEY | {"last_used_at": None}),
        "POST /v1/api-keys": (201, {"data": MADE}),
    }
    return coffer


@pytest.mark.parametrize(
    ("command", "body"),
    [
        ("collections create billing", {"name": "billing"}),
        ("collections create billing --description d", {"name": "billing", "description": "d"}),
        ("collections update billing --name pay", {"name": "pay"}),
        ("collections update billing --no-description", {"description": None}),
        ("environments create staging --default", {"name": "staging", "is_default": True}),
        (
            "environments create staging --display-name S --color #f59e0b",
            {"name": "staging", "display_name": "S", "color": "#f59e0b"},
        ),
        (
            "environments update staging --no-display-name --no-color --default",
            {"display_name": None, "color": None, "is_default": True},
        ),
        ("apikeys create ci", {"name": "ci"}),
        (
            "apikeys create ci --scope secrets:read --scope audit:read --never-expires",
            {"name": "ci", "scopes": ["secrets:read", "audit:read"], "never_expires": True},
        ),
        (
            "apikeys create ci --rate-limit 100 --expires-in-days 30",
            {"name": "ci", "rate_limit_requests": 100, "expires_in_days": 30},
        ),
        (
            "apikeys create ci --rate-limit 100/5",
            {"name": "ci", "rate_limit_requests": 100, "rate_limit_window_sec": 5},
        ),
    ],
)
def test_what_was_said_is_sent_and_no_more(
    things: Coffer, gateway: Gateway, command: str, body: dict[str, Any]
) -> None:
    things.json(*command.split())
    assert gateway.bodies == [body]


@pytest.mark.parametrize(
    "command",
    [
        "collections update billing",
        "collections update billing --description d --no-description",
        "environments update staging --color #ffffff --no-color",
        "apikeys create ci --never-expires --expires-in-days 3",
        "apikeys create ci --rate-limit 0",
        "apikeys create ci --rate-limit 5/0",
        "apikeys create ci --rate-limit fast",
    ],
)
def test_what_makes_no_sense_is_not_sent(things: Coffer, gateway: Gateway, command: str) -> None:
    assert things(*command.split()).exit_code == Exit.USAGE
    assert gateway.requests == []


@pytest.mark.parametrize(
    ("command", "shows"),
    [
        ("collections list", ("billing", "2", ID)),
        ("collections get billing", ("billing", "secret_count", ID)),
        ("environments list", ("staging", "#6b7280", ID)),
        ("apikeys list", ("key_1", "tk_live_ab", "ci", "secrets:read")),
    ],
)
def test_people_are_shown_what_they_look_for(
    things: Coffer, command: str, shows: tuple[str, ...]
) -> None:
    shown = things(*command.split()).stdout
    assert all(text in shown for text in shows)


def test_a_thing_that_is_not_there_is_a_refusal(things: Coffer, gateway: Gateway) -> None:
    for kind in ("collections", "environments"):
        result = things(kind, "update", "nowhere", "--name", "x")
        assert result.exit_code == Exit.REFUSED
        assert "nowhere" in result.stderr
    assert gateway.changes == []


def test_a_new_key_is_alone_on_standard_output(things: Coffer) -> None:
    result = things("apikeys", "create", "ci")
    assert result.stdout == "tk_live_made\n"
    assert "key_1" in result.stderr
    assert "tk_live_made" not in result.stderr


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_key_that_was_lost_with_its_answer_is_no_success(
    things: Coffer, gateway: Gateway, options: list[str]
) -> None:
    gateway.answers["POST /v1/api-keys"] = (201, {"data": KEY | {"api_key": None}})
    result = things("apikeys", "create", "ci", *options)
    assert result.exit_code == Exit.FAILED
    assert "revoke" in result.stderr
    assert "key_1" in result.stderr


def test_what_others_wrote_cannot_steer_the_terminal(things: Coffer, gateway: Gateway) -> None:
    odd = COLLECTION | {"name": "\x1b[2Jbill\u202eing", "description": "[red]\r\n"}
    gateway.answers["GET /v1/collections"] = page(odd)
    gateway.answers[f"GET /v1/collections/{ID}"] = (200, {"data": odd})
    for command in (("list",), ("get", ID)):
        shown = things("collections", *command).stdout
        assert "\\x1b[2Jbill\\u202eing" in shown
        assert "[red]\\r\\n" in shown
