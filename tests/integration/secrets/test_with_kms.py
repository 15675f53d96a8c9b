"""secrets and the real kms, two processes and one database."""

from __future__ import annotations

import base64
import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.fakes.kms_stand import signing_key_pem
from tests.integration.secrets.process import Process
from tests.integration.secrets.stand import Stand, outcomes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.fixtures.database import TestDatabase
    from tests.fixtures.pki import TestPki


@pytest.fixture
async def processes(
    database: TestDatabase, pki: TestPki, tmp_path: Path
) -> AsyncIterator[tuple[Stand, Process]]:
    tokens = pki.issuer.settings
    kms = Process(
        "kms",
        tmp_path,
        pki.tls("kms"),
        {
            "COFFER_KMS_DATABASE_URL": database.dsn("coffer_kms"),
            "COFFER_MASTER_KEY_B64": base64.b64encode(os.urandom(32)).decode(),
            "COFFER_KMS_IDEMPOTENCY_KEY_B64": base64.b64encode(os.urandom(32)).decode(),
            "COFFER_KMS_SIGNING_KEY": signing_key_pem().decode(),
            "COFFER_ADMIN_JWT_ISSUER": tokens.issuer,
            "COFFER_ADMIN_JWT_AUDIENCE": tokens.audience,
            "COFFER_ADMIN_JWKS_FILE": str(tokens.jwks_file),
        },
    )
    kms_target = await kms.start()
    secrets = Process(
        "secrets",
        tmp_path,
        pki.tls("secrets"),
        {
            "COFFER_SECRETS_IDEMPOTENCY_KEY_B64": base64.b64encode(os.urandom(32)).decode(),
            "COFFER_SECRETS_DATABASE_URL": database.dsn("coffer_secrets"),
            "COFFER_SECRETS_PURGE_DATABASE_URL": database.dsn("coffer_secrets_purge"),
            "COFFER_SECRETS_KMS_TARGET": kms_target,
            "COFFER_SECRETS_CERTIFICATE_WORKERS": "1",
        },
    )
    stand = Stand(database, pki, None, await secrets.start())  # type: ignore[arg-type]
    try:
        yield stand, kms
    finally:
        await stand.aclose()
        await secrets.end(signal.SIGTERM)
        await kms.end(signal.SIGTERM)


async def test_what_is_stored_under_the_real_kms_opens_again(
    processes: tuple[Stand, Process],
) -> None:
    stand, kms = processes
    tenants = [stand.tenant(slug) for slug in ("one", "two", "three")]
    for client in tenants:
        stand.database.grant_consumer(client.tenant_id, "dev")
    made = await outcomes(
        [client.create(f"S{n}", f"{client.tenant_id} {n}") for n in range(30) for client in tenants]
    )
    assert not any(isinstance(outcome, str) for outcome in made)
    reads = [
        (f"{client.tenant_id} {n}", stand.access(client.tenant_id, name=f"S{n}"))
        for n in range(0, 30, 7)
        for client in tenants
    ]
    found = await outcomes([call for _, call in reads])
    assert [reply.value for reply in found] == [value for value, _ in reads]
    await kms.end(signal.SIGKILL)
    assert await outcomes([stand.access(tenants[0].tenant_id, name="S0")]) == ["unavailable"]
    assert (await tenants[0].list()).page.total == 30
