"""Cryptographic erasure as an administrator, an auditor and a consumer see it, through the whole stack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from cli.kms.receipts import verify
from services.common.errors import CofferError
from tests.fixtures.eventually import eventually

if TYPE_CHECKING:
    import httpx

    from tests.fixtures.stack import RunningStack
    from tests.fixtures.tenant_user import TenantUser

PATH = "/admin/tenant-kms"
WELL_KNOWN = "/.well-known/coffer-signing-keys"


def revoke(tenant: TenantUser, version: int, **body: Any) -> httpx.Response:
    """As the tenant's administrator, with a fresh step-up token."""
    return tenant.call(
        "POST",
        f"{PATH}/keys/{version}/revoke",
        json={"confirm": tenant.slug, **body},
        headers=tenant.step_up(),
    )


def test_after_the_rewrap_the_old_key_is_erased_with_a_receipt_and_nothing_is_lost(
    stack: RunningStack, tenant: TenantUser
) -> None:
    tenant.create_all({f"S{number}": f"value {number}" for number in range(20)})
    tenant.onboard(tenant.customer())
    assert tenant.ended_lease()["state"] == "completed"

    answer = revoke(tenant, 1)

    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["revoked"], body["version"]) == (True, 1)
    assert set(body) == {"revoked", "version", "receipt"}
    # Anybody may fetch the keys, keep them for a while, and check the receipt without us.
    published = stack.http.get(WELL_KNOWN)
    assert published.status_code == 200
    assert published.headers["cache-control"] == "public, max-age=300"
    statement = verify(answer.text, published.json()).statement
    assert statement == body["receipt"]["statement"]
    assert (statement["tenant_id"], statement["tenant_slug"]) == (tenant.id, tenant.slug)
    assert (statement["wrap_method"], statement["provider"]) == ("global", None)
    assert (statement["data_keys_lost"], statement["forced"]) == (0, False)
    assert statement["request_id"] == answer.headers["x-request-id"]
    assert tenant.call("GET", f"{PATH}/keys/1/receipt").json() == body["receipt"]
    assert tenant.keys()[1]["status"] == "revoked"
    names = [f"S{number}" for number in range(20)]
    assert tenant.values(names) == {name: f"value {name[1:]}" for name in names}


@pytest.mark.parametrize("header", [{}, {"authorization": "Bearer nonsense"}])
def test_the_keys_are_for_everybody_whatever_they_bring_along(
    stack: RunningStack, header: dict[str, str]
) -> None:
    answer = stack.http.get(WELL_KNOWN, headers=header)
    assert answer.status_code == 200
    assert [set(key) for key in answer.json()["keys"]] == [{"kty", "crv", "kid", "x", "alg", "use"}]
    refused = stack.http.get(WELL_KNOWN, params={"x": "1"})
    assert (refused.status_code, refused.headers["cache-control"]) == (400, "no-store")


def test_each_refusal_says_what_the_contract_says(tenant: TenantUser) -> None:
    tenant.create("S", "value")
    tenant.onboard(tenant.customer())
    tenant.ended_lease()
    wrong = revoke(tenant, 1, confirm="someone-else")
    assert (wrong.status_code, wrong.json()["error"]["type"]) == (400, "validation_error")
    assert list(wrong.json()["error"]["fields"]) == ["confirm"]
    unknown = revoke(tenant, 1, sure=True)
    assert list(unknown.json()["error"]["fields"]) == ["sure"]
    active = revoke(tenant, 2)
    assert (active.status_code, active.json()["error"]["type"]) == (409, "key_active")
    assert revoke(tenant, 3).status_code == 404
    assert tenant.call("GET", f"{PATH}/keys/1/receipt").status_code == 404
    bare = tenant.call("POST", f"{PATH}/keys/1/revoke", json={"confirm": tenant.slug})
    assert (bare.status_code, bare.json()["error"]["reason"]) == (403, "missing")


def test_what_hung_on_an_erased_key_is_gone_and_everything_else_goes_on(
    stack: RunningStack, tenant: TenantUser
) -> None:
    gone, kept = tenant.customer(), tenant.customer()
    tenant.onboard(gone)
    lost = tenant.create("LOST", "never again")
    version = max(tenant.keys())
    stack.cloud.disable(gone.key_arn)
    eventually(lambda: access_code(tenant, "LOST") == "tenant_sealed", "sealed")
    tenant.onboard(kept)
    lease = tenant.latest_lease()["id"]
    tenant.create("KEPT", "still there")

    refused = revoke(tenant, version)
    assert (refused.status_code, refused.json()["error"]["type"]) == (409, "key_in_use")
    assert refused.json()["error"]["fields"] == {
        "data_keys": ["1 stored data keys still need this version"]
    }
    body = revoke(tenant, version, force=True).json()

    statement = body["receipt"]["statement"]
    assert (statement["data_keys_lost"], statement["forced"]) == (1, True)
    assert (statement["provider"], statement["kms_key_ref"]) == ("aws", gone.key_arn)
    stack.cloud.enable(gone.key_arn)
    assert access_code(tenant, "LOST") == "key_revoked"
    # No work, no census: the lease that waited for the sealed key ends well.
    assert tenant.ended_lease(lease)["state"] == "completed"
    assert tenant.census()[version] == 0
    assert tenant.value("KEPT") == "still there"
    assert tenant.get(f"/v1/secrets/{lost['id']}")["data"]["name"] == "LOST"
    assert set(tenant.rows()) == {"LOST", "KEPT"}
    tenant.put(lost["id"], "a new one")
    assert tenant.value("LOST") == "a new one"


def access_code(tenant: TenantUser, name: str) -> str:
    """How a consumer's access ends."""
    try:
        tenant.value(name)
    except CofferError as error:
        return error.code
    return "ok"


def test_unused_data_keys_of_an_erased_version_store_nothing_and_fail_nobody(
    tenant: TenantUser,
) -> None:
    tenant.onboard(tenant.customer())
    # Busy enough that secrets holds unused data keys.
    tenant.create_all({f"A{number}": f"value {number}" for number in range(30)})
    old = tenant.rotate()["new_version"] - 1
    assert revoke(tenant, old, force=True).status_code == 200
    after = {f"B{number}": f"value {number}" for number in range(30)}
    tenant.create_all(after)
    assert tenant.values(after) == after
    assert tenant.census()[old] == 0
