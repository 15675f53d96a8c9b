"""Clouds of many tenants that hang at once, and whoever has nothing to do with them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import psutil
import pytest

from cli.local.devcloud import ready_file
from devcloud.customers import PROVIDERS, CloudCustomer, Clouds
from services.common.errors import CofferError
from tests.e2e.clouds.traffic import OK, STORED, VALUE, Request, Steady, Traffic
from tests.fixtures.eventually import eventually
from tests.fixtures.tenant_user import TenantUser, together

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fixtures.stack import RunningStack

HANGING_EACH = 8
"""Tenants whose cloud hangs, in each cloud: a third at login, a third at the key, a third at both."""
LOAD_SECONDS = 6.0
"""Twice the TTL: by then every open key has ended, and every tenant has asked its cloud in vain."""
HANGING_PAUSE = 0.5
HEALTHY_PAUSE = 0.05
NEIGHBOUR_SECONDS = 5.0
"""What a healthy tenant's request may take on a busy machine. A call to a cloud that hangs is given up after
ten seconds at the latest: who waits behind such calls waits longer."""
KMS_SECONDS = 15.0
"""What secrets waits for kms at most."""
BACK_SECONDS = 30.0
KMS_CONNECTIONS = 20
"""Of the pool (16), and those that listen."""
DESCRIPTORS = 250
"""Of kms while 24 tenants hang: each has at most four calls under way, and the login of one."""
LEFT_DESCRIPTORS = 100


@dataclass(frozen=True)
class Connected:
    """A tenant whose key is in a cloud, with something stored under it."""

    user: TenantUser
    customer: CloudCustomer


def connected(stack: RunningStack, clouds: Clouds, provider: str) -> Connected:
    user = stack.tenant()
    customer = clouds.customer(provider, user.id)
    answer = user.call("POST", "/admin/tenant-kms", json=customer.body)
    assert answer.status_code == 200, answer.text
    user.create(STORED, VALUE)
    return Connected(user, customer)


@contextlib.contextmanager
def crowd(stack: RunningStack) -> Iterator[tuple[list[Connected], list[Connected]]]:
    """Those whose clouds are going to hang, and a neighbour of theirs in each cloud."""
    with Clouds.from_ready_file(ready_file(stack.stack.directory).path) as clouds:
        wanted = [provider for provider in PROVIDERS for _ in range(HANGING_EACH + 1)]
        made = together(partial(connected, stack, clouds, provider) for provider in wanted)
        healthy = made[:: HANGING_EACH + 1]
        hanging = [one for one in made if one not in healthy]
        try:
            yield hanging, healthy
        finally:
            for one in hanging:
                one.customer.heal()


@dataclass
class Peak:
    """The most of what kms held at any time."""

    stack: RunningStack
    connections: int = 0
    descriptors: int = 0

    def look(self) -> None:
        query = "select count(*) from pg_stat_activity where usename = 'coffer_kms'"
        self.connections = max(self.connections, self.stack.rows(query)[0][0])
        self.descriptors = max(self.descriptors, descriptors(self.stack))

    async def watch(self) -> None:
        while True:
            await asyncio.to_thread(self.look)
            await asyncio.sleep(0.3)


def descriptors(stack: RunningStack) -> int:
    return int(psutil.Process(stack.stack.pid("kms")).num_fds())


async def under_load(
    stack: RunningStack, hanging: list[Connected], healthy: list[Connected], peak: Peak
) -> list[Request]:
    loads = [Steady(one.user, 2, HANGING_PAUSE) for one in hanging]
    loads += [Steady(one.user, 1, HEALTHY_PAUSE) for one in healthy]
    watch = asyncio.create_task(peak.watch())
    try:
        async with Traffic.of(stack) as traffic:
            await traffic.run(loads, LOAD_SECONDS)
            return traffic.ended
    finally:
        watch.cancel()


def is_back(user: TenantUser) -> bool:
    try:
        assert user.value(STORED) == VALUE
    except CofferError as refusal:
        if refusal.code not in {"tenant_sealed", "unavailable"}:
            raise
        return False
    return True


def check_neighbours(requests: list[Request], tenants: int) -> None:
    assert Counter(one.code for one in requests) == Counter({OK: len(requests)})
    each = Counter((one.tenant_id, one.kind) for one in requests)
    assert len(each) == 2 * tenants
    assert min(each.values()) > 3
    slowest = max(requests, key=lambda one: one.seconds)
    assert slowest.seconds < NEIGHBOUR_SECONDS, slowest


def check_hanging(requests: list[Request], tenants: int) -> None:
    refused = [one for one in requests if one.code != OK]
    assert {one.code for one in refused} <= {"tenant_sealed", "unavailable"}
    assert {one.http_status for one in refused} == {503}
    assert all(one.retry_after for one in refused)
    assert max(one.seconds for one in requests) < KMS_SECONDS
    sealed = {one.tenant_id for one in refused if one.code == "tenant_sealed"}
    assert len(sealed) == tenants


@pytest.mark.slow
def test_24_tenants_whose_clouds_hang_keep_no_neighbour_waiting_and_come_back_by_themselves(
    stack: RunningStack,
) -> None:
    with crowd(stack) as (hanging, healthy):
        before, peak = descriptors(stack), Peak(stack)
        for number, one in enumerate(hanging):
            one.customer.hang(login=number % 3 != 1, key=number % 3 != 0)
        requests = asyncio.run(under_load(stack, hanging, healthy, peak))
        theirs = {one.user.id for one in healthy}
        check_neighbours([one for one in requests if one.tenant_id in theirs], len(theirs))
        check_hanging([one for one in requests if one.tenant_id not in theirs], len(hanging))
        assert peak.connections <= KMS_CONNECTIONS
        assert peak.descriptors <= before + DESCRIPTORS

        for one in hanging:
            one.customer.heal()
        until = time.monotonic() + BACK_SECONDS
        for one in hanging:
            left = until - time.monotonic()
            eventually(partial(is_back, one.user), "the tenant is back", seconds=left)
            one.user.create("new", VALUE)
        assert descriptors(stack) <= before + LEFT_DESCRIPTORS
