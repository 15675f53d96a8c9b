"""The Python client against the service: what it fetches, and which errors it tells apart."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from coffer_client import (
    CertificateSecret,
    ClientTls,
    CofferClient,
    CofferClientError,
    ConflictError,
    KeyRevokedError,
    NotGrantedError,
    RequestNotValidError,
    SecretDeletedError,
    SecretExpiredError,
    SecretNotFoundError,
    StringSecret,
    SyncCofferClient,
    TenantSealedError,
    UnauthenticatedError,
    VersionMismatchError,
    Wanted,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.integration.secrets.stand import Client, Stand

PAST = datetime.now(UTC) - timedelta(days=1)


def _tls(stand: Stand, who: str = "consumer/dev") -> ClientTls:
    files = stand.pki.tls(who)
    return ClientTls(files.certificate, files.key, files.ca)


@pytest.fixture
async def coffer(client: Client) -> AsyncIterator[CofferClient]:
    """Of the consumer `dev`, with the tenant's API key."""
    async with CofferClient(
        client.stand.target,
        tls=_tls(client.stand),
        tenant_id=client.tenant_id,
        api_key=client.api_key,
    ) as made:
        yield made


async def test_values_are_fetched_by_name_id_environment_and_version(
    client: Client, coffer: CofferClient
) -> None:
    made = await coffer.create_string("S", "first", description="d")
    assert (made.environment, made.value_version) == ("production", 1)
    await coffer.put_value(made.id, "second", if_match=1)
    await coffer.put_value(made.id, "staged", environment="staging")
    for which in ("S", made.id):
        found = await coffer.get(which)
        assert isinstance(found, StringSecret)
        assert (found.value, found.value_version, found.warnings) == ("second", 2, ())
    lookalike = await coffer.create_string(str(uuid4()), "x")
    with pytest.raises(SecretNotFoundError):
        await coffer.get(lookalike.name)
    assert (await coffer.get(lookalike.name, by_name=True)).id == lookalike.id
    texts = [
        await coffer.get("S", value_version=1),
        await coffer.get("S", "staging"),
    ]
    assert [found.value for found in texts if isinstance(found, StringSecret)] == [
        "first",
        "staged",
    ]


async def test_the_twin_for_threads_does_the_same(client: Client) -> None:
    def work() -> list[Any]:
        with SyncCofferClient(
            client.stand.target,
            tls=_tls(client.stand),
            tenant_id=str(client.tenant_id),
            api_key=client.api_key,
        ) as coffer:
            made = coffer.create_string("S", "first")
            coffer.put_value(made.id, "second")
            missing, first = coffer.get_many(["NOT_THERE", Wanted("S", value_version=1)])
            with pytest.raises(SecretNotFoundError):
                coffer.get("NOT_THERE")
            return [coffer.get("S"), missing, first]

    second, missing, first = await asyncio.to_thread(work)
    assert (first.value, second.value, missing.code) == ("first", "second", "not_found")


async def test_each_reason_to_keep_a_value_back_is_an_error_of_its_own(
    client: Client, coffer: CofferClient
) -> None:
    stand = client.stand
    gone = await coffer.create_string("GONE", "x")
    await client.delete(gone.id)
    await coffer.create_string("ENDED", "x", expires_at=PAST, strict_expiry_enforcement=True)
    await coffer.create_string("LATE", "kept", expires_at=PAST)
    late = await coffer.get("LATE")
    assert [warning.code for warning in late.warnings] == ["expired"]
    assert late.expires_at is not None
    expected: dict[str, type[CofferClientError]] = {
        gone.id: SecretDeletedError,
        "ENDED": SecretExpiredError,
        "NEVER_THERE": SecretNotFoundError,
        "no such name!": RequestNotValidError,
    }
    for which, kind in expected.items():
        with pytest.raises(kind) as found:
            await coffer.get(which)
        assert found.value.request_id
    async with CofferClient(stand.target, tls=_tls(stand), tenant_id=uuid4()) as elsewhere:
        with pytest.raises(NotGrantedError):
            await elsewhere.get("LATE")
    stand.kms.sealed.add(client.tenant_id)
    with pytest.raises(TenantSealedError) as sealed:
        await coffer.get("LATE", timeout=5)
    assert sealed.value.retry_after == 30
    stand.kms.sealed.clear()
    stand.kms.rotate(client.tenant_id)
    stand.kms.revoke(client.tenant_id, 1)
    with pytest.raises(KeyRevokedError):
        await coffer.get("LATE")


async def test_refused_writes_name_their_cause(client: Client, coffer: CofferClient) -> None:
    made = await coffer.create_string("S", "x")
    with pytest.raises(ConflictError):
        await coffer.create_string("S", "x")
    with pytest.raises(VersionMismatchError):
        await coffer.put_value(made.id, "y", if_match=7)
    with pytest.raises(RequestNotValidError) as found:
        await coffer.create_string("T", "")
    assert "value" in found.value.fields
    async with CofferClient(
        client.stand.target, tls=_tls(client.stand), tenant_id=client.tenant_id, api_key="tk_no"
    ) as stranger:
        with pytest.raises(UnauthenticatedError):
            await stranger.create_string("T", "x")


async def test_a_write_that_is_made_again_with_its_key_is_done_once(
    client: Client, coffer: CofferClient
) -> None:
    first = await coffer.create_string("S", "x", idempotency_key="mine")
    assert await coffer.create_string("S", "x", idempotency_key="mine") == first
    assert client.live_secrets() == 1


async def test_many_are_answered_each_in_its_place(coffer: CofferClient) -> None:
    for n in range(3):
        await coffer.create_string(f"S{n}", f"v{n}")
    wanted = [f"S{n % 4}" for n in range(120)]
    found = await coffer.get_many(wanted)
    assert len(found) == 120
    for name, one in zip(wanted, found, strict=True):
        if name == "S3":
            assert isinstance(one, SecretNotFoundError)
        else:
            assert isinstance(one, StringSecret)
            assert (one.name, one.value) == (name, f"v{name[1]}")
    assert await coffer.get_many([]) == []
    assert not any(isinstance(one, CertificateSecret) for one in found)
