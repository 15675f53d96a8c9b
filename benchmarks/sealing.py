"""How long the kill switch takes, and how long the way back: of a tenant in steady use, in seconds.

The times are bounded by settings (TTL, pause between tries), so a stack with shorter ones is measured; each
is reported beside its bound.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Final

import grpc
from coffer.kms.v1 import kms_pb2, kms_pb2_grpc

from benchmarks.figures import Times
from benchmarks.ground import running_ground
from benchmarks.sections import Section
from services.common.errors import TenantSealedError
from services.common.rpc.channel import open_channel
from services.common.rpc.status import from_rpc_error
from services.common.settings import TlsFiles

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.ground import BenchTenant, Ground
    from benchmarks.plan import Plan

PAUSE_SECONDS: Final = 0.01
"""Between two requests: what the times are exact to."""
JITTER: Final = 0.1
"""Tries come up to this part of the pause later (`services.kms.keys.sealing`)."""
ANSWER_SECONDS: Final = 2.0
"""What the try itself, the database and this machine may take besides."""
GIVE_UP: Final = 4.0
"""Times the bound after which the run is given up."""


def measure(plan: Plan, tell: Callable[[str], None]) -> Section:
    """Disable and enable the key `plan.runs` times, at a random moment of the key's life."""
    sealed = Times("key disabled to the first refused request", plan.ttl)
    back = Times(
        "key enabled to service, nobody helping", plan.retry * (1 + JITTER) + ANSWER_SECONDS
    )
    settings = {
        "COFFER_KMS_CUSTOMER_TTL_SECONDS": str(plan.ttl),
        "COFFER_KMS_SEALED_RETRY_SECONDS": str(plan.retry),
    }
    with running_ground(settings=settings) as ground:
        tenant = ground.tenant("bench-sealing")
        for run in range(1, plan.runs + 1):
            tell(f"sealing: run {run} of {plan.runs}, TTL {plan.ttl:g} s")
            disabled, enabled = asyncio.run(_once(ground, tenant, plan))
            sealed.seconds.append(disabled)
            back.seconds.append(enabled)
    return Section("sealing", [], times=[sealed, back])


async def _once(ground: Ground, tenant: BenchTenant, plan: Plan) -> tuple[float, float]:
    identity = ground.pki.identity("secrets", "secrets")
    tls = TlsFiles(identity.cert_file, identity.key_file, identity.ca_file)
    async with open_channel(ground.stack.credentials.grpc.kms, tls) as channel:
        stub = kms_pb2_grpc.KmsServiceStub(channel)
        await _use(stub, tenant, served=True, limit=plan.ttl * GIVE_UP)
        await _keep_using(stub, tenant, random.uniform(0.0, plan.ttl))
        began = time.monotonic()
        await asyncio.to_thread(ground.control.disable, tenant.key_arn)
        disabled = await _use(stub, tenant, served=False, limit=plan.ttl * GIVE_UP) - began
        began = time.monotonic()
        await asyncio.to_thread(ground.control.enable, tenant.key_arn)
        enabled = await _use(stub, tenant, served=True, limit=plan.ttl * GIVE_UP) - began
    return disabled, enabled


async def _keep_using(
    stub: kms_pb2_grpc.KmsServiceAsyncStub, tenant: BenchTenant, seconds: float
) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        await _served(stub, tenant)
        await asyncio.sleep(PAUSE_SECONDS)


async def _use(
    stub: kms_pb2_grpc.KmsServiceAsyncStub, tenant: BenchTenant, *, served: bool, limit: float
) -> float:
    """The moment of the first request that is served, or refused. Raises TimeoutError."""
    async with asyncio.timeout(limit + ANSWER_SECONDS):
        while True:
            await asyncio.sleep(PAUSE_SECONDS)
            if await _served(stub, tenant) is served:
                break
    return time.monotonic()


async def _served(stub: kms_pb2_grpc.KmsServiceAsyncStub, tenant: BenchTenant) -> bool:
    request = kms_pb2.GenerateDataKeysRequest(tenant_id=tenant.id, count=1)
    try:
        await stub.GenerateDataKeys(request, timeout=ANSWER_SECONDS * 10)
    except grpc.aio.AioRpcError as error:
        if from_rpc_error(error).code == TenantSealedError.code:
            return False
        raise
    return True
