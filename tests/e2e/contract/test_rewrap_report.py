"""The report of a rewrap as an administrator keeps it: signed, true to the database, and made once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from cli.rewraps.reporting import verify
from tests.e2e.contract import wire
from tests.e2e.life.rewraps import rewraps_held

if TYPE_CHECKING:
    import httpx

    from tests.fixtures.stack import RunningStack
    from tests.fixtures.tenant_user import TenantUser

REWRAPS = "/admin/tenant-kms/rewraps"
WELL_KNOWN = "/.well-known/coffer-signing-keys"
VALUES = {f"S{number}": f"canary-report-{number}" for number in range(30)}
COUNTS = ("total", "done", "skipped", "failed", "verified", "kms_calls_waited_for")


def report(tenant: TenantUser, lease_id: int) -> httpx.Response:
    return tenant.call("GET", f"{REWRAPS}/{lease_id}/report")


def census(rows: dict[int, int]) -> dict[str, Any]:
    """As a report says it."""
    found = [{"version": one, "data_keys": rows[one]} for one in sorted(rows) if rows[one]]
    return {"versions": found}


def test_a_rotation_ends_with_a_report_that_says_what_the_database_says(
    stack: RunningStack, tenant: TenantUser
) -> None:
    tenant.create_all(VALUES)
    tenant.onboard(tenant.customer())
    tenant.ended_lease()
    rotated = tenant.rotate()
    version, lease_id = rotated["new_version"], rotated["rewrap_lease_id"]
    with rewraps_held(tenant):
        early = wire.error_of(report(tenant, lease_id), 409, "invalid_state")
        assert early["hint"]
    lease = tenant.ended_lease(lease_id)
    assert lease["state"] == "completed"

    answer = report(tenant, lease_id)

    assert answer.status_code == 200, answer.text
    wire.assert_json(answer)
    said = verify(answer.text, stack.http.get(WELL_KNOWN).json()).statement
    assert said == answer.json()["statement"]
    ((*counts, before, after),) = stack.rows(
        "select total, done, skipped, failed, verified, kms_calls, census_before, census_after"
        " from rewrap.lease where id = %s",
        (lease_id,),
    )
    assert [said[name] for name in COUNTS] == counts
    assert (said["done"], said["verified"], said["failed_ids"]) == (30, 30, [])
    assert said["census_before"] == {"versions": before}
    assert said["census_after"] == {"versions": after} == census({version: 30})
    assert said["census_at_signing"] == census(tenant.census())
    assert (said["tenant_id"], said["tenant_slug"]) == (tenant.id, tenant.slug)
    assert said["from_versions"] == {"versions": [version - 1]}
    assert said["to_version"] == said["active_version_at_signing"] == version
    assert said["revoked_versions"] == []
    for member in ("state", "reason", "created_at", "started_at", "finished_at"):
        assert said[member] == lease[member]
    key = tenant.keys()[version]
    assert (said["to_key_id"], said["to_wrap_method"]) == (key["id"], key["wrap_method"])
    assert said["rate_per_second"] == pytest.approx(30 / said["duration_seconds"], rel=0.1)
    # Kept, whatever happens afterwards: bytes that were given once are given again.
    tenant.create("later", "value")
    tenant.rotate()
    assert report(tenant, lease_id).content == answer.content
    assert not any(value in answer.text for value in VALUES.values())


def test_a_value_that_does_not_open_any_more_is_in_the_report_by_its_keys_id(
    stack: RunningStack, tenant: TenantUser
) -> None:
    """Its data key moves like the others: only who opens the value finds out."""
    tenant.create_all({f"S{number}": f"value {number}" for number in range(5)})
    ((damaged,),) = stack.rows(
        "update secrets.value_version v set value = overlay(value placing '\\x0000' from 20)"
        " where data_key_id = (select data_key_id from secrets.value_version"
        " where tenant_id = %s limit 1) returning data_key_id",
        (tenant.id,),
    )
    tenant.onboard(tenant.customer())
    lease = tenant.ended_lease()
    assert (lease["state"], lease["done"], lease["failed"]) == ("failed", 5, 1)
    said = report(tenant, lease["id"]).json()["statement"]
    assert (said["state"], said["verified"]) == ("failed", 4)
    assert said["failed_ids"] == [str(damaged)]
    assert said["census_at_signing"] == census({2: 5})
