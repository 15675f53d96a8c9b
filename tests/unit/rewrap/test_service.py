"""What an administrator may ask, and what is refused."""

from __future__ import annotations

import uuid

import pytest

from services.common.errors import NotFoundError, ValidationError
from services.rewrap.service import Rewraps
from tests.fakes.rewrap_leases import Reader, lease

TENANT = uuid.uuid4()


def rewraps(count: int = 3) -> Rewraps:
    states = ["completed", "superseded", "running"]
    return Rewraps(Reader(TENANT, [lease(id=n, state=states[n % 3]) for n in range(1, count + 1)]))


async def test_the_newest_comes_first() -> None:
    found = await rewraps().list(TENANT, state=None, page=1, per_page=20)
    assert [row.id for row in found.leases] == [3, 2, 1]
    assert found.total == 3


async def test_a_page_past_the_end_is_empty_and_still_says_how_many_there_are() -> None:
    found = await rewraps().list(TENANT, state=None, page=9, per_page=2)
    assert (list(found.leases), found.total) == ([], 3)


async def test_only_the_wanted_state_is_shown() -> None:
    found = await rewraps().list(TENANT, state="running", page=1, per_page=20)
    assert [row.state for row in found.leases] == ["running"]


async def test_an_empty_state_asks_for_all_as_the_contract_says() -> None:
    found = await rewraps().list(TENANT, state="", page=1, per_page=20)
    assert found.total == 3


@pytest.mark.parametrize(
    ("state", "page", "per_page", "fields"),
    [
        ("done", 1, 20, ["state"]),
        (None, 0, 20, ["page"]),
        (None, -1, 101, ["page", "per_page"]),
        ("x", 1 << 62, 0, ["state", "page", "per_page"]),
    ],
)
async def test_every_wrong_field_is_named_at_once(
    state: str | None, page: int, per_page: int, fields: list[str]
) -> None:
    with pytest.raises(ValidationError) as refused:
        await rewraps().list(TENANT, state=state, page=page, per_page=per_page)
    assert list(refused.value.fields) == fields


@pytest.mark.parametrize("lease_id", [0, -1, 99, 1 << 63, (1 << 63) - 1])
async def test_an_unknown_lease_is_not_found(lease_id: int) -> None:
    with pytest.raises(NotFoundError):
        await rewraps().get(TENANT, lease_id)


async def test_another_tenants_lease_is_not_found() -> None:
    with pytest.raises(NotFoundError):
        await rewraps().get(uuid.uuid4(), 1)
