"""What breaks when a person changes, versions, deletes and restores secrets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cli.exits import Exit
from tests.fakes.cli_gateway import LOST, identifier, page, refusal, secret
from tests.integration.cli.certificates import PASSPHRASE

if TYPE_CHECKING:
    from tests.fakes.certificates import Chain
    from tests.fakes.cli_gateway import Gateway
    from tests.fixtures.command_line import Coffer

ROW = secret("DB_PASSWORD")
PATH = f"/v1/secrets/{ROW['id']}"
STORED = {"id": ROW["id"], "name": "DB_PASSWORD", "environment": "production", "value_version": 4}


@pytest.fixture
def stored(coffer: Coffer, gateway: Gateway) -> Coffer:
    """With one secret, whose every change succeeds."""
    gateway.answers |= {
        "GET /v1/secrets": page(ROW),
        f"PATCH {PATH}": (200, {"data": ROW}),
        f"PUT {PATH}/value": (200, {"data": STORED}),
        f"POST {PATH}/versions/3/restore": (200, {"data": STORED}),
        f"POST {PATH}/restore": (200, {"data": ROW}),
        f"DELETE {PATH}/environments/staging": (200, {"data": {"deleted": True}}),
        f"DELETE {PATH}": (200, {"data": {"deleted": True}}),
    }
    return coffer


@pytest.mark.parametrize(
    ("options", "body"),
    [
        (["--name", "N", "--description", "d"], {"name": "N", "description": "d"}),
        (["--no-description"], {"description": None}),
        (["--collection", identifier(7)], {"collection_id": identifier(7)}),
        (["--no-collection", "--no-expiry"], {"collection_id": None, "expires_at": None}),
        (["--strict"], {"strict_expiry_enforcement": True}),
        (["--no-strict"], {"strict_expiry_enforcement": False}),
    ],
)
def test_only_what_was_said_is_changed_and_null_clears(
    stored: Coffer, gateway: Gateway, options: list[str], body: dict[str, Any]
) -> None:
    stored.json("secrets", "update", "DB_PASSWORD", *options)
    assert gateway.bodies == [body]


@pytest.mark.parametrize("options", [[], ["--expires-at", "2027-01-01T00:00:00Z", "--no-expiry"]])
def test_nothing_and_a_contradiction_are_not_sent(
    stored: Coffer, gateway: Gateway, options: list[str]
) -> None:
    assert stored("secrets", "update", "DB_PASSWORD", *options).exit_code == Exit.USAGE
    assert gateway.requests == []


def test_a_new_value_goes_to_its_environment_if_nobody_was_faster(
    stored: Coffer, gateway: Gateway
) -> None:
    options = ("--environment", "staging", "--if-match", "3")
    stored.json("secrets", "set", "DB_PASSWORD", *options, stdin="new\n")
    (sent,) = gateway.changes
    assert sent.body == {"value": "new", "environment": "staging"}
    assert sent.headers["if-match"] == "3"
    gateway.answers[f"PUT {PATH}/value"] = (412, refusal("version_mismatch", "It is 5."))
    assert stored("secrets", "set", "DB_PASSWORD", stdin="x").exit_code == Exit.REFUSED


def test_a_value_whose_answer_was_lost_is_sent_again_as_the_same_change(
    stored: Coffer, gateway: Gateway
) -> None:
    gateway.answers[f"PUT {PATH}/value"] = [LOST, (200, {"data": STORED})]
    result = stored("secrets", "set", "DB_PASSWORD", stdin="new\n")
    assert result.exit_code == Exit.OK
    assert "trying again" in result.stderr
    first, second = gateway.changes
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    assert first.body == second.body


def test_a_certificate_is_replaced_by_files(stored: Coffer, gateway: Gateway, made: Chain) -> None:
    stored.json(
        "secrets", "set", "DB_PASSWORD", "--certificate-file", "leaf.pem",
        "--certificate-file", "ca.pem", "--key-file", "locked.pem", "--passphrase-file", "pass",
    )  # fmt: skip
    (body,) = gateway.bodies
    assert body == {
        "certificate_content": made.leaf.pem + made.intermediate.pem,
        "certificate_type": "pem",
        "private_key": Path("locked.pem").read_text(),
        "passphrase": PASSPHRASE,
    }
    wrong = refusal("validation_error", "m", fields={"private_key": ["Wrong."]})
    gateway.answers[f"PUT {PATH}/value"] = (400, wrong)
    files = ("--certificate-file", "leaf.pem", "--key", "other.pem")
    refused = stored("secrets", "set", "DB_PASSWORD", *files)
    assert refused.exit_code == Exit.REFUSED
    assert "private_key comes from other.pem" in refused.stderr


@pytest.mark.parametrize(
    "options",
    [
        ("--certificate-file", "leaf.pem", "--from-file", "pass"),
        ("--key-file", "key.pem"),
        ("--from-file", "pass", "--passphrase-file", "pass"),
    ],
)
def test_options_that_do_not_belong_together_send_nothing(
    stored: Coffer, gateway: Gateway, made: Chain, options: tuple[str, ...]
) -> None:
    assert stored("secrets", "set", "DB_PASSWORD", *options).exit_code == Exit.USAGE
    assert gateway.requests == []


def test_history_is_shown_and_an_old_value_made_current(stored: Coffer, gateway: Gateway) -> None:
    version = {"value_version": 3, "environment": "staging", "is_current": False}
    gateway.answers[f"GET {PATH}/versions"] = page(version | {"created_at": "2026-03-15"})
    shown = stored("secrets", "history", "DB_PASSWORD", "--environment", "staging")
    assert all(text in shown.stdout for text in ("3", "staging", "2026-03-15"))
    assert "environment=staging" in gateway.requests[-1].path
    options = ("--environment", "staging", "--if-match", "5")
    stored.json("secrets", "restore", "DB_PASSWORD", "3", *options)
    assert gateway.bodies == [{"environment": "staging"}]
    assert gateway.changes[0].headers["if-match"] == "5"


def test_a_deleted_secret_is_restored_by_the_name_it_had(stored: Coffer, gateway: Gateway) -> None:
    gateway.answers["GET /v1/secrets"] = page(ROW | {"deleted_at": "2026-11-01T00:00:00.000Z"})
    assert stored.json("secrets", "undelete", "DB_PASSWORD")["name"] == "DB_PASSWORD"
    assert "deleted=true" in gateway.requests[0].path


def test_of_several_deleted_ones_none_is_guessed(stored: Coffer, gateway: Gateway) -> None:
    times = ("2026-11-01T00:00:00.000Z", "2026-11-02T00:00:00.000Z")
    rows = [secret("DB_PASSWORD", i, deleted_at=time) for i, time in enumerate(times, 1)]
    gateway.answers["GET /v1/secrets"] = page(*rows, secret("DB_PASSWORD_2", 3, deleted_at="x"))
    result = stored("secrets", "undelete", "DB_PASSWORD")
    assert result.exit_code == Exit.REFUSED
    assert result.stderr.index(identifier(2)) < result.stderr.index(identifier(1))
    assert identifier(3) not in result.stderr
    assert gateway.changes == []
    stored.json("secrets", "undelete", identifier(1))
    assert [request.path for request in gateway.changes] == [f"{PATH}/restore"]


REMOVALS = {
    ("secrets", "delete", "DB_PASSWORD"): PATH,
    ("secrets", "remove-environment", "DB_PASSWORD", "staging"): f"{PATH}/environments/staging",
    ("collections", "delete", "billing"): f"/v1/collections/{identifier(7)}",
    ("environments", "delete", "staging"): f"/v1/environments/{identifier(8)}",
    ("apikeys", "revoke", "key_1"): "/v1/api-keys/key_1",
}


@pytest.mark.parametrize("command", REMOVALS)
def test_nothing_is_removed_without_a_yes(
    stored: Coffer,
    gateway: Gateway,
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...],
) -> None:
    path = REMOVALS[command]
    gateway.answers["GET /v1/collections"] = page({"id": identifier(7), "name": "billing"})
    gateway.answers["GET /v1/environments"] = page({"id": identifier(8), "name": "staging"})
    gateway.answers[f"DELETE {path}"] = (200, {"data": {"deleted": True}})
    unasked = stored(*command, stdin="y\n")
    assert unasked.exit_code == Exit.FAILED
    assert "--yes" in unasked.stderr
    monkeypatch.setattr("cli.commands.interactive", lambda: True)
    assert stored(*command, stdin="n\n").exit_code == Exit.FAILED
    assert gateway.changes == []
    assert stored(*command, stdin="y\n").exit_code == Exit.OK
    assert stored.json(*command, "--yes") == {"deleted": True}
    assert [request.path for request in gateway.changes] == [path, path]
