"""What tenants whose cloud does not answer would take from those whose cloud does."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from devcloud.customers import PROVIDERS, CloudCustomer
from services.common.errors import CofferError
from tests.fakes.kms_stand import running_kms, until
from tests.fakes.three_clouds import ThreeClouds, three_clouds

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator, Sequence
    from uuid import UUID

    from devcloud.aws.server import AwsServer
    from tests.fakes.kms_stand import KmsStand
    from tests.fixtures.database import TestDatabase
    from tests.fixtures.pki import TestPki

QUICK_SECONDS = 3.0
"""Generous for a call that waits for nobody: a hanging one is given up after four seconds at the soonest."""
GIVEN_UP_SECONDS = 12.0
"""A call to a cloud takes ten seconds at most."""


@pytest.fixture
def clouds(aws: AwsServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreeClouds]:
    with three_clouds(aws, monkeypatch) as running:
        yield running


class Tenants:
    """Tenants with customers in the clouds."""

    def __init__(self, database: TestDatabase, clouds: ThreeClouds) -> None:
        self._database = database
        self._clouds = clouds

    def new(self, provider: str) -> tuple[UUID, CloudCustomer]:
        tenant = self._database.create_tenant(f"t-{uuid.uuid4().hex[:8]}")
        return tenant, self._clouds.customers.customer(provider, str(tenant))

    async def connected(self, kms: KmsStand, provider: str) -> tuple[UUID, CloudCustomer]:
        tenant, customer = await kms.cloud(self.new, provider)
        await kms.put(tenant, customer.body)
        return tenant, customer


async def ended(call: Awaitable[Any]) -> tuple[str, str | None, float]:
    """How a call ended (`ok` or the contract's code), the reason, and after how many seconds."""
    began = time.monotonic()
    try:
        await call
    except CofferError as error:
        return error.code, error.reason, time.monotonic() - began
    return "ok", None, time.monotonic() - began


async def all_asked(hanging: Sequence[tuple[UUID, CloudCustomer]]) -> None:
    """Each of these has been seen with a call in its cloud that gets no answer."""
    left = list(hanging)

    def look() -> bool:
        left[:] = [one for one in left if not one[1].asked()]
        return not left

    await until(lambda: asyncio.to_thread(look), GIVEN_UP_SECONDS, "every cloud was asked")


@pytest.mark.parametrize("each", [6, pytest.param(24, marks=pytest.mark.slow)])
async def test_a_tenant_first_seen_is_served_at_once_while_those_of_its_cloud_hang(
    database: TestDatabase, pki: TestPki, aws: AwsServer, clouds: ThreeClouds, each: int
) -> None:
    tenants = Tenants(database, clouds)
    async with running_kms(database, pki, aws, **clouds.settings) as before:
        made = await asyncio.gather(
            *(tenants.connected(before, provider) for provider in PROVIDERS * (each + 1))
        )
    hanging, healthy = made[: -len(PROVIDERS)], made[-len(PROVIDERS) :]
    for number, (_, customer) in enumerate(hanging):
        customer.hang(login=number % 2 == 0, key=number % 2 == 1)
    # Another process: it has no session with anybody, no open key, and knows nobody as quick.
    async with running_kms(database, pki, aws, **clouds.settings) as kms:
        waiting = [asyncio.create_task(ended(kms.generate(tenant))) for tenant, _ in hanging]
        await all_asked(hanging)
        served = await asyncio.gather(*(ended(kms.generate(tenant)) for tenant, _ in healthy))
        assert [code for code, _, _ in served] == ["ok"] * len(PROVIDERS)
        assert max(seconds for _, _, seconds in served) < QUICK_SECONDS
        given_up = await asyncio.gather(*waiting)
        assert Counter((code, reason) for code, reason, _ in given_up) == Counter(
            {("tenant_sealed", "unreachable"): len(hanging)}
        )
        assert max(seconds for _, _, seconds in given_up) < GIVEN_UP_SECONDS


@pytest.mark.slow
async def test_30_onboardings_of_a_key_that_hangs_keep_nobody_from_connecting_theirs(
    database: TestDatabase, pki: TestPki, aws: AwsServer, clouds: ThreeClouds
) -> None:
    tenants = Tenants(database, clouds)
    async with running_kms(database, pki, aws, **clouds.settings) as kms:
        alone = [await kms.cloud(tenants.new, provider) for provider in PROVIDERS]
        crowds = [await kms.cloud(tenants.new, provider) for provider in PROVIDERS]
        healthy = [await kms.cloud(tenants.new, provider) for provider in PROVIDERS]
        for _, customer in (*alone, *crowds):
            customer.hang()
        onboarding = [asyncio.create_task(ended(kms.put(who, its.body))) for who, its in alone]
        verifying = [asyncio.create_task(ended(kms.verify(who, its.body))) for who, its in alone]
        crowd = [asyncio.create_task(ended(kms.put(who, its.body))) for who, its in crowds * 30]
        await all_asked([*alone, *crowds])
        served = await asyncio.gather(*(ended(kms.put(who, its.body)) for who, its in healthy))
        assert [code for code, _, _ in served] == ["ok"] * len(PROVIDERS)
        assert max(seconds for _, _, seconds in served) < QUICK_SECONDS
        for code, reason, seconds in await asyncio.gather(*onboarding, *verifying):
            assert (code, reason) == ("kms_verify_failed", "unreachable")
            assert seconds < GIVEN_UP_SECONDS
        # The crowd has what it can have: turns of its own, one after another, or a refusal at once.
        turned_away = [task.result() for task in crowd if task.done()]
        assert {code for code, _, _ in turned_away} <= {"kms_verify_failed", "unavailable"}
        assert len(turned_away) > len(crowd) // 2
        for task in crowd:
            task.cancel()
        await asyncio.gather(*crowd, return_exceptions=True)
        assert database.rows("select count(*) from kms.binding") == [(len(healthy),)]
