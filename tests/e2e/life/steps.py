"""What a tenant's key goes through from the first proof to after its end, as the wire contract has it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from cli.kms.receipts import verify
from services.common.audit_chain import first_broken
from tests.e2e.contract import wire
from tests.e2e.life.life import BACK_SECONDS, KMS
from tests.e2e.life.rewraps import rewraps_held
from tests.fixtures.eventually import eventually

if TYPE_CHECKING:
    from tests.e2e.life.life import Life

CONFIG_FIELDS = {
    "aws": ("region", "role_arn", "external_id"),
    "gcp": ("impersonate_service_account", "project_id"),
    "azure": ("vault_url", "azure_tenant_id", "client_id", "client_secret_env_var"),
}
GRANTS = {
    "aws": ("sts:AssumeRole", "sts:ExternalId"),
    "gcp": ("roles/iam.serviceAccountTokenCreator", "iam.serviceAccounts.getAccessToken"),
    "azure": ("az ad sp create --id", "admin consent"),
}
"""What the hint names when the platform may no longer log in."""
KEY = {"id": wire.UUID, "created_at": wire.TIME}
FIRST, CONNECTED, ROTATED, PLATFORMS = 1, 2, 3, 4
"""The key versions of this life, in order."""
TRIES = 5
EVENTS = re.compile(
    r"kms\.key\.created kms\.onboarded"
    r" kms\.sealed kms\.verification_failed kms\.unsealed"
    r"( kms\.sealed kms\.unsealed){2,}"
    r" kms\.key\.rotated kms\.key\.revoked kms\.offboarded kms\.drained"
)


def a_dry_run_changes_nothing(life: Life) -> None:
    life.store("before")
    before = life.stored_keys()
    answer = life.tenant.call("POST", f"{KMS}/verify", json=life.owner.body)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    latency = {"wrap": float, "unwrap": float}
    check = {"name": str, "ok": True, "detail": str}
    wire.assert_form({"ok": True, "latency_ms": latency, "checks": [check] * 3}, found)
    assert life.stored_keys() == before
    wire.error_of(life.tenant.call("GET", KMS), 404, "no_kms_config")


def connecting_answers_as_documented_and_moves_what_is_there(life: Life) -> None:
    body, tenant = life.owner.body, life.tenant
    told = life.owner.onboard()
    leases = tenant.get(f"{KMS}/rewraps")["rewraps"]
    assert [(lease["reason"], lease["target_version"]) for lease in leases] == [("onboard", 2)]
    form = {"ok": True, "provider": body["provider"], "kms_key_ref": body["kms_key_ref"]}
    form |= {"new_key_version": CONNECTED, "new_key_id": wire.UUID, "note": str}
    wire.assert_form(form | {"rewrap_status": "enqueued"}, told)
    assert tenant.ended_lease()["state"] == "completed"
    life.store("after")
    shown = {name: body["config"].get(name) for name in CONFIG_FIELDS[life.owner.provider]}
    first = {"version": FIRST, "wrap_method": "global", "status": "retired", "data_keys": 0}
    second = {"version": CONNECTED, "wrap_method": "customer_kms", "status": "active"}
    config = {
        "provider": f"customer_kms_{body['provider']}",
        "kms_key_ref": body["kms_key_ref"],
        "config": shown,
        "sealed_since": None,
        "last_verified_at": wire.TIME,
        "last_verify_error": None,
    }
    keys = [
        KEY | second | {"id": told["new_key_id"], "retired_at": None, "data_keys": len(life.rows)},
        KEY | first | {"retired_at": wire.TIME},
    ]
    wire.assert_form({"config": config, "keys": keys}, life.status())
    life.hold_values()


def a_disabled_key_seals_within_the_ttl(life: Life) -> None:
    life.owner.disable()
    life.hold_sealed_within_the_ttl("key_disabled")
    since = life.config()["sealed_since"]
    rotated = life.tenant.stepped_up("POST", f"{KMS}/rotate")
    wire.error_of(rotated, 409, "tenant_sealed")
    error = wire.error_of(life.unseal(), 502, "unseal_failed")
    assert (error["provider"], error["reason"]) == (life.owner.provider, "access_denied")
    # The true reason, the state seen and the key it was seen of.
    assert error["hint"].startswith("key_disabled: ")
    assert "is disabled" in error["hint"]
    assert life.owner.body["kms_key_ref"] in error["hint"]
    probed = life.tenant.call("POST", f"{KMS}/verify")
    assert wire.error_of(probed, 400, "kms_verify_failed")["reason"] == "key_disabled"
    assert (life.config()["sealed_since"], len(life.status()["keys"])) == (since, CONNECTED)


def enabling_the_key_unseals_by_itself(life: Life) -> None:
    life.owner.enable()
    life.hold_back()
    life.hold_values()


def a_cloud_that_says_nothing_of_the_key_seals_when_the_ttl_ends(life: Life) -> None:
    life.owner.throttle()
    life.hold_sealed_within_the_ttl("throttled")
    error = wire.error_of(life.unseal(), 502, "unseal_failed")
    assert (error["provider"], error["reason"]) == (life.owner.provider, "unreachable")
    assert error["hint"].startswith("throttled: ")
    assert "retry is safe" in error["hint"]
    life.owner.calm()
    life.hold_back()


def a_grant_that_is_taken_away_seals_within_the_ttl(life: Life) -> None:
    life.owner.take_grant_away()
    life.hold_sealed_within_the_ttl("access_denied")


def unsealing_by_hand_answers_as_documented(life: Life) -> None:
    for _ in range(TRIES):
        error = wire.error_of(life.unseal(), 502, "unseal_failed")
        assert error["reason"] == "access_denied"
        assert error["hint"].startswith("access_denied: ")
        assert [word for word in GRANTS[life.owner.provider] if word not in error["hint"]] == []
        life.owner.give_grant_back()
        answer = life.unseal()
        if answer.status_code != 409:
            break
        # The background was there first; once more.
        life.owner.take_grant_away()
        life.hold_sealed_within_the_ttl("access_denied")
    assert (answer.status_code, answer.json()) == (200, {"unsealed": True})
    config = life.config()
    assert (config["sealed_since"], config["last_verify_error"]) == (None, None)
    assert life.refusal() is None
    wire.error_of(life.unseal(), 409, "not_sealed")


def a_rotation_moves_everything_to_a_new_version(life: Life) -> None:
    told = life.tenant.rotate()
    wire.assert_form({"rotated": True, "new_version": ROTATED, "rewrap_lease_id": int}, told)
    lease = life.tenant.ended_lease(told["rewrap_lease_id"])
    assert (lease["state"], lease["failed"], lease["last_error"]) == ("completed", 0, None)
    assert life.tenant.census() == {ROTATED: len(life.rows), CONNECTED: 0, FIRST: 0}
    life.hold_values()


def a_version_that_nothing_needs_is_erased_with_a_receipt(life: Life) -> None:
    erase(life, ROTATED, 409, "key_active")
    wrong = erase(life, CONNECTED, 400, "validation_error", confirm="someone-else")
    assert wrong["fields"].keys() == {"confirm"}
    answer = erased(life, CONNECTED)
    assert answer.keys() == {"revoked", "version", "receipt"}
    assert (answer["revoked"], answer["version"]) == (True, CONNECTED)
    published = life.tenant.stack.http.get("/.well-known/coffer-signing-keys").json()
    receipt = life.tenant.get(f"{KMS}/keys/{CONNECTED}/receipt")
    assert receipt == answer["receipt"]
    statement = verify(life.tenant.call("GET", f"{KMS}/keys/{CONNECTED}/receipt").text, published)
    said = statement.statement
    assert said == receipt["statement"]
    keys = life.tenant.keys()
    assert (said["tenant_id"], said["version"]) == (life.tenant.id, CONNECTED)
    assert (said["key_id"], keys[CONNECTED]["status"]) == (keys[CONNECTED]["id"], "revoked")
    assert (said["wrap_method"], said["provider"]) == ("customer_kms", life.owner.provider)
    # The provider's own name of it, with a version where the cloud has those.
    assert said["kms_key_ref"].startswith(life.owner.body["kms_key_ref"])
    assert (said["data_keys_lost"], said["forced"]) == (0, False)
    life.hold_values()


def going_back_to_the_platforms_key_drains_and_then_leaves(life: Life) -> None:
    with rewraps_held(life.tenant):
        answer = life.tenant.stepped_up("DELETE", KMS)
        assert answer.status_code == 200, answer.text
        told = {"ok": True, "new_key_version": PLATFORMS, "rewrap_lease_id": int}
        wire.assert_form(told, answer.json())
        status = life.status()
        assert status["draining"] is True
        assert status["keys"][0]["wrap_method"] == "global"
        assert status["config"]["kms_key_ref"] == life.owner.body["kms_key_ref"]
    lease = life.tenant.ended_lease(answer.json()["rewrap_lease_id"])
    assert (lease["state"], lease["done"]) == ("completed", len(life.rows))
    eventually(life.left, "the key is left", seconds=BACK_SECONDS)


def the_lost_cloud_key_is_missed_by_nobody(life: Life) -> None:
    life.owner.lose()
    calls = life.owner.calls()
    life.store("without")
    life.hold_values()
    assert life.owner.calls() == calls


def the_whole_of_it_is_in_the_audit_chain(life: Life) -> None:
    events = life.tenant.stack.audit(life.tenant.id)
    assert first_broken(events) is None
    of_keys = [event for event in events if event.action.startswith("kms.")]
    assert EVENTS.fullmatch(" ".join(event.action for event in of_keys)), of_keys
    actors = {event.action: event.actor for event in of_keys}
    people = {name for name, actor in actors.items() if not actor.startswith("service:")}
    # Either may have been first to unseal; a tenant's first key is made when a client stores something.
    by_hand = {"kms.onboarded", "kms.key.rotated", "kms.key.revoked", "kms.offboarded"}
    assert people - {"kms.key.created", "kms.unsealed"} == by_hand | {"kms.verification_failed"}


def erase(life: Life, version: int, status: int, code: str, **body: Any) -> Any:
    """The error of a refused erasure."""
    path, good = f"{KMS}/keys/{version}/revoke", {"confirm": life.tenant.slug}
    answer = life.tenant.stepped_up("POST", path, json=good | body)
    return wire.error_of(answer, status, code)


def erased(life: Life, version: int) -> Any:
    """The reply to an erasure."""
    body = {"confirm": life.tenant.slug, "force": False}
    answer = life.tenant.stepped_up("POST", f"{KMS}/keys/{version}/revoke", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


STEPS = (
    a_dry_run_changes_nothing,
    connecting_answers_as_documented_and_moves_what_is_there,
    a_disabled_key_seals_within_the_ttl,
    enabling_the_key_unseals_by_itself,
    a_cloud_that_says_nothing_of_the_key_seals_when_the_ttl_ends,
    a_grant_that_is_taken_away_seals_within_the_ttl,
    unsealing_by_hand_answers_as_documented,
    a_rotation_moves_everything_to_a_new_version,
    a_version_that_nothing_needs_is_erased_with_a_receipt,
    going_back_to_the_platforms_key_drains_and_then_leaves,
    the_lost_cloud_key_is_missed_by_nobody,
    the_whole_of_it_is_in_the_audit_chain,
)
