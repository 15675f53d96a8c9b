"""RewrapService as an administrator's gateway calls it: over mTLS, with a JWT."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from tests.integration.rewrap.admin import admin, refused

if TYPE_CHECKING:
    from tests.fakes.rewrap_stand import Stand


async def test_a_completed_lease_is_shown_with_all_it_has(stand: Stand) -> None:
    tenant = stand.tenant("acme", 10)
    lease = stand.issue(tenant)
    async with admin(stand, tenant) as caller:
        await stand.until_state(lease, "completed")
        shown = await caller.get(lease)
        page = await caller.list()
    assert (shown.id, shown.state, shown.reason, shown.target_version) == (
        lease, "completed", "rotate", 2,
    )  # fmt: skip
    assert (shown.total, shown.done, shown.skipped, shown.failed) == (10, 10, 0, 0)
    for absent in ("rate_per_second", "eta_seconds", "throttle_per_second", "last_error"):
        assert not shown.HasField(absent)
    assert shown.created_at.ToDatetime() <= shown.started_at.ToDatetime()
    assert shown.started_at.ToDatetime() <= shown.finished_at.ToDatetime()
    assert page.rewraps[0] == shown
    assert (page.total, page.page, page.per_page, page.total_pages) == (1, 1, 20, 1)


async def test_leases_are_paged_and_filtered(stand: Stand) -> None:
    tenant = stand.tenant("acme", 10)
    leases = [stand.issue(tenant, version) for version in (2, 3, 4)]
    async with admin(stand, tenant) as caller:
        await stand.until_state(leases[-1], "completed")
        second = await caller.list(page=2, per_page=2)
        superseded = await caller.list(state="superseded")
        none = await caller.list(state="paused")
    assert [row.id for row in second.rewraps] == leases[:1]
    assert (second.total, second.total_pages) == (3, 2)
    assert [row.id for row in superseded.rewraps] == [leases[1], leases[0]]
    assert (none.total, none.total_pages, list(none.rewraps)) == (0, 0, [])


async def test_what_is_wrong_with_a_request_is_named_field_by_field(stand: Stand) -> None:
    async with admin(stand, stand.tenant("acme", 0)) as caller:
        error = await refused(caller.list(state="done", page=0, per_page=101))
    assert error.code == "validation_error"
    assert sorted(error.fields) == ["page", "per_page", "state"]


async def test_another_tenants_lease_is_not_found(stand: Stand) -> None:
    lease = stand.issue(stand.tenant("acme", 5))
    async with admin(stand, stand.tenant("other", 0)) as caller:
        assert (await refused(caller.get(lease))).code == "not_found"
        assert (await refused(caller.get(0))).code == "not_found"
        assert (await caller.list()).total == 0


@pytest.mark.parametrize(
    ("role", "code"), [("viewer", "forbidden"), ("admin", None), ("owner", None)]
)
async def test_a_viewer_may_not_look_at_rewraps(stand: Stand, role: str, code: str | None) -> None:
    async with admin(stand, stand.tenant("acme", 0), role) as caller:
        if code is None:
            await caller.list()
        else:
            assert (await refused(caller.list())).code == code


async def test_without_a_token_of_a_known_tenant_nothing_is_shown(stand: Stand) -> None:
    async with admin(stand, None) as caller:
        assert (await refused(caller.list())).code == "unauthenticated"
    async with admin(stand, uuid.uuid4()) as caller:
        assert (await refused(caller.get(1))).code == "unauthenticated"
