"""`coffer kms` over real HTTP: what it sends, what it shows, and how it leaves."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from cli.exits import Exit
from tests.fakes.cli_gateway import lease, refusal

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.cli_gateway import Gateway
    from tests.fixtures.command_line import Coffer

KMS = "/admin/tenant-kms"
ARN = "arn:aws:kms:eu-west-1:111122223333:key/1"
CONNECTED = {
    "ok": True,
    "provider": "aws",
    "kms_key_ref": ARN,
    "new_key_version": 2,
    "note": "Rewrapping.",
}
RECEIPT: dict[str, Any] = {
    "statement": {
        "format": "coffer/revocation-receipt/1",
        "version": 1,
        "covers": ["the live database"],
        "does_not_cover": ["backups"],
    },
    "jws": "e30.e30.c2ln",
}


def status(**config: Any) -> dict[str, Any]:
    shown = {
        "provider": "customer_kms_aws",
        "kms_key_ref": ARN,
        "config": {"region": "eu-west-1"},
        "sealed_since": None,
        "last_verified_at": None,
        "last_verify_error": None,
    }
    version = {
        "id": "1",
        "version": 1,
        "wrap_method": "global",
        "status": "retired",
        "created_at": "2026-03-15T12:00:00.000Z",
        "retired_at": None,
        "data_keys": 1830,
    }
    return {"config": shown | config, "keys": [version]}


def test_connecting_a_key_sends_what_the_contract_wants(coffer: Coffer, gateway: Gateway) -> None:
    gateway.answers[f"POST {KMS}"] = (200, CONNECTED)
    result = coffer("kms", "onboard", "--key", ARN, "--role-arn", "r")
    assert "version 2" in result.stdout
    config = {"region": "eu-west-1", "role_arn": "r"}
    assert gateway.bodies == [{"provider": "aws", "kms_key_ref": ARN, "config": config}]
    assert "x-knoxcall-stepup" not in gateway.requests[0].headers


def test_a_replacement_that_needs_step_up_gets_it(coffer: Coffer, gateway: Gateway) -> None:
    asked = refusal("step_up_required", "Needed.", reason="missing")
    gateway.answers[f"POST {KMS}"] = [(403, asked), (200, CONNECTED)]
    assert coffer.json("kms", "onboard", "--key", ARN, "--role-arn", "r") == CONNECTED
    assert gateway.requests[1].headers["x-knoxcall-stepup"] == "ey.step.x"


def test_connecting_can_be_watched_to_the_end_of_the_rewrap(
    coffer: Coffer, gateway: Gateway
) -> None:
    gateway.answers[f"POST {KMS}"] = (200, CONNECTED)
    newest = {"rewraps": [lease()], "total": 1, "page": 1, "per_page": 1, "total_pages": 1}
    gateway.answers[f"GET {KMS}/rewraps"] = (200, newest)
    gateway.answers[f"GET {KMS}/rewraps/42"] = (200, lease(state="failed", last_error="damaged"))
    result = coffer("kms", "onboard", "--key", ARN, "--role-arn", "r", "--watch")
    assert result.exit_code == Exit.FAILED
    assert "failed" in result.stdout


def test_a_refused_key_says_what_is_missing(coffer: Coffer, gateway: Gateway) -> None:
    body = refusal("kms_verify_failed", "No.", reason="access_denied", hint="Allow kms:Encrypt.")
    gateway.answers[f"POST {KMS}/verify"] = (400, body)
    result = coffer("kms", "verify")
    assert result.exit_code == Exit.REFUSED
    assert "Allow kms:Encrypt." in result.stderr
    assert "access_denied" in result.stderr


def test_options_of_a_key_without_the_key_are_a_mistake(coffer: Coffer, gateway: Gateway) -> None:
    assert coffer("kms", "verify", "--role-arn", "r").exit_code == Exit.USAGE
    assert coffer("kms", "onboard", "--key", "alias/x").exit_code == Exit.USAGE
    assert not gateway.requests


def test_a_sealed_tenant_is_told_why_and_what_to_do(coffer: Coffer, gateway: Gateway) -> None:
    sealed = status(sealed_since="2026-03-15T12:00:00.000Z", last_verify_error="key_disabled")
    gateway.answers[f"GET {KMS}"] = (200, sealed)
    shown = coffer("kms", "status").stdout
    assert "SEALED, key_disabled: enable the key" in shown
    assert "1830" in shown
    gateway.answers[f"GET {KMS}"] = (200, status() | {"draining": True})
    assert "draining" in coffer("kms", "status").stdout


def test_a_key_that_failed_its_last_check_is_not_just_usable(
    coffer: Coffer, gateway: Gateway
) -> None:
    failed = status(last_verify_error="throttled")
    gateway.answers[f"GET {KMS}"] = [
        (200, found) for found in (status(), failed, failed | {"draining": True})
    ]
    states = [coffer("kms", "status").stdout.splitlines()[0].split(None, 1) for _ in range(3)]
    warning = "last check failed: throttled, the provider limits the rate: wait, or raise the quota"
    assert states[0] == ["state", "usable"]
    assert states[1] == ["state", f"usable; {warning}"]
    assert states[2][1].startswith("draining: ")
    assert states[2][1].endswith(f"; {warning}")


def test_rotating_sends_a_fresh_step_up_token(coffer: Coffer, gateway: Gateway) -> None:
    done = {"rotated": True, "new_version": 3, "rewrap_lease_id": 7}
    gateway.answers[f"POST {KMS}/rotate"] = (200, done)
    assert coffer.json("kms", "rotate") == done
    assert gateway.requests[0].headers["x-knoxcall-stepup"] == "ey.step.x"


def test_unsealing_that_fails_says_why_and_is_no_refusal(coffer: Coffer, gateway: Gateway) -> None:
    failed = refusal("unseal_failed", "Still not.", reason="access_denied", hint="Enable it.")
    gateway.answers[f"POST {KMS}/unseal"] = [(502, failed), (200, {"unsealed": True})]
    result = coffer("kms", "unseal")
    assert result.exit_code == Exit.FAILED
    assert "Enable it." in result.stderr
    assert coffer.json("kms", "unseal") == {"unsealed": True}
    assert gateway.requests[0].headers["x-knoxcall-stepup"] == "ey.step.x"


def test_nothing_is_erased_without_the_slug(
    coffer: Coffer, gateway: Gateway, tmp_path: Path
) -> None:
    gateway.answers[f"GET {KMS}"] = (200, status())
    done = {"revoked": True, "version": 1, "receipt": RECEIPT}
    gateway.answers[f"POST {KMS}/keys/1/revoke"] = (200, done)
    assert coffer("kms", "revoke", "1", stdin="").exit_code != Exit.OK
    assert not gateway.bodies
    file = tmp_path / "receipt.json"
    result = coffer("kms", "revoke", "1", "--receipt-file", str(file), stdin="acme\n")
    assert result.exit_code == Exit.OK, result.output
    assert "1830 data keys need it" in result.stderr
    assert gateway.bodies == [{"confirm": "acme", "force": False}]
    assert json.loads(file.read_text()) == RECEIPT
    assert coffer.json("kms", "revoke", "1", "--confirm", "acme", "--force") == done
    assert gateway.bodies[-1] == {"confirm": "acme", "force": True}


def test_a_receipt_shows_what_it_does_not_cover(coffer: Coffer, gateway: Gateway) -> None:
    gateway.answers[f"GET {KMS}/keys/1/receipt"] = (200, RECEIPT)
    shown = coffer("kms", "receipt", "1").stdout
    assert "does not cover:\n  - backups" in shown
    assert "e30.e30.c2ln" in shown


@pytest.mark.parametrize(("answer", "code"), [("n\n", 1), ("y\n", 0)])
def test_off_boarding_is_confirmed(
    coffer: Coffer, gateway: Gateway, monkeypatch: pytest.MonkeyPatch, answer: str, code: int
) -> None:
    monkeypatch.setattr("cli.commands.interactive", lambda: True)
    done = {"ok": True, "new_key_version": 3, "rewrap_lease_id": 43}
    gateway.answers[f"DELETE {KMS}"] = (200, done)
    result = coffer("kms", "offboard", stdin=answer)
    assert result.exit_code == code
    assert len(gateway.bodies) == 1 - code
    assert coffer.json("kms", "offboard", "--yes") == done
    assert gateway.requests[-1].headers["x-knoxcall-stepup"] == "ey.step.x"
