"""What breaks when a service goes away, comes back, refuses, or asks for another certificate."""

from __future__ import annotations

import asyncio
import shutil
import ssl
from typing import TYPE_CHECKING, Any

import pytest

from coffer_client import (
    ClientTls,
    ClientTlsError,
    CofferClient,
    CofferClientError,
    RequestNotValidError,
    Retries,
    SyncCofferClient,
    TooLargeError,
    UnavailableError,
)
from coffer_client.asking import Asker
from services.common.errors import (
    KeyRevokedError,
    RateLimitedError,
    TenantSealedError,
)
from services.common.errors import (
    UnavailableError as Down,
)
from tests.integration.coffer_client.service import Failing, failing_service, start

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from services.common.errors import CofferError
    from services.common.settings import TlsFiles
    from tests.fixtures.pki import TestPki

QUICK = Retries(first=0.01, longest=0.02)
TENANT = "11111111-1111-4111-8111-111111111111"


def _busy() -> CofferError:
    error = Down("busy")
    error.retry_after = None
    return error


def _tls(files: TlsFiles) -> ClientTls:
    return ClientTls(files.certificate, files.key, files.ca)


@pytest.fixture
async def running(pki: TestPki) -> AsyncIterator[tuple[Failing, str]]:
    failing = failing_service()
    server, port = await start(failing, pki.tls("secrets"))
    yield failing, f"127.0.0.1:{port}"
    await server.stop(None)


@pytest.fixture
async def client(pki: TestPki, running: tuple[Failing, str]) -> AsyncIterator[CofferClient]:
    tls = _tls(pki.tls("consumer/dev"))
    async with CofferClient(
        running[1], tls=tls, tenant_id=TENANT, api_key="k", retries=QUICK
    ) as made:
        yield made


async def test_a_write_is_repeated_under_one_key(
    running: tuple[Failing, str], client: CofferClient
) -> None:
    failing, _ = running
    failing.errors += [_busy(), _busy()]
    await client.create_string("S", "x")
    assert len(failing.keys) == 3
    assert len(set(failing.keys)) == 1
    assert failing.keys[0]


async def test_a_read_is_repeated_by_the_twin_for_threads_too(
    running: tuple[Failing, str], pki: TestPki
) -> None:
    failing, target = running
    failing.errors += [_busy(), _busy()]

    def work() -> str:
        tls = _tls(pki.tls("consumer/dev"))
        with SyncCofferClient(target, tls=tls, tenant_id=TENANT, retries=QUICK) as coffer:
            return coffer.get("S").name

    assert await asyncio.to_thread(work) == "S"
    assert failing.keys == [None] * 3


@pytest.mark.parametrize(
    "refusal",
    [
        KeyRevokedError("gone"),
        RateLimitedError(10, retry_after=1),
        TenantSealedError(),
    ],
    ids=["revoked", "limited", "sealed for longer than the deadline"],
)
async def test_a_refusal_is_asked_for_once(
    running: tuple[Failing, str], client: CofferClient, refusal: CofferError
) -> None:
    failing, _ = running
    failing.errors += [refusal, refusal]
    with pytest.raises(CofferClientError) as found:
        await client.get("S", timeout=3)
    assert found.value.code == refusal.code
    assert len(failing.errors) == 1


async def test_what_grpc_will_not_send_is_an_error_of_this_package(
    client: CofferClient, running: tuple[Failing, str], pki: TestPki
) -> None:
    failing, target = running
    with pytest.raises(TooLargeError):
        await client.create_string("S", "x" * 17_000_000)

    def work() -> None:
        tls = _tls(pki.tls("consumer/dev"))
        with SyncCofferClient(target, tls=tls, tenant_id=TENANT, api_key="k") as coffer:
            coffer.create_string("S", "x" * 17_000_000)

    with pytest.raises(TooLargeError):
        await asyncio.to_thread(work)
    client._asker = Asker(TENANT, "not a header\n")
    with pytest.raises(RequestNotValidError):
        await client.create_string("S", "x")
    assert failing.keys == []


async def test_a_service_that_comes_back_is_found_again(pki: TestPki) -> None:
    failing = failing_service()
    server, port = await start(failing, pki.tls("secrets"))
    tls = _tls(pki.tls("consumer/dev"))
    async with CofferClient(f"127.0.0.1:{port}", tls=tls, tenant_id=TENANT) as client:
        await client.get("S")
        await server.stop(None)
        with pytest.raises(UnavailableError):
            await client.get("S", timeout=0.3)
        waiting = asyncio.create_task(client.get("S", timeout=20))
        await asyncio.sleep(0)
        server, _ = await start(failing, pki.tls("secrets"), port)
        assert (await waiting).name == "S"
    await server.stop(None)


async def test_a_replaced_certificate_is_used_from_the_next_call_on(
    running: tuple[Failing, str], pki: TestPki, tmp_path: Path
) -> None:
    failing, target = running
    files = ClientTls(tmp_path / "crt", tmp_path / "key", tmp_path / "ca")
    before, after = pki.tls("consumer/before"), pki.tls("consumer/after")
    shutil.copy(before.certificate, files.cert)
    shutil.copy(before.key, files.key)
    shutil.copy(before.ca, files.ca)
    async with CofferClient(target, tls=files, tenant_id=TENANT) as client:
        await client.get("S")
        shutil.copy(after.certificate, files.cert)
        await client.get("S")  # the key is still the old one
        shutil.copy(after.key, files.key)
        await asyncio.gather(*(client.get("S") for _ in range(3)))
    assert [peer.rpartition("/")[2] for peer in failing.peers] == [
        "before",
        "before",
        *["after"] * 3,
    ]


async def test_a_ca_file_without_a_whole_certificate_trusts_nobody(
    running: tuple[Failing, str], pki: TestPki, tmp_path: Path
) -> None:
    # gRPC takes an empty CA for none, and trusts the public ones instead; so it does at a first NUL byte.
    _, target = running
    whole = _tls(pki.tls("consumer/dev"))
    ca = pki.tls("consumer/dev").ca.read_bytes()
    files = ClientTls(whole.cert, whole.key, tmp_path / "ca")
    async with CofferClient(target, tls=files, tenant_id=TENANT, timeout=3) as client:
        for bad in (b"", b"junk\n", ca[: len(ca) // 2], ca + ca[: len(ca) // 2], b"\0\n" + ca):
            (tmp_path / "ca").write_bytes(bad)
            with pytest.raises(ClientTlsError, match=str(tmp_path / "ca")):
                await client.get("S")
        (tmp_path / "ca").write_bytes(ca)
        await client.get("S")
        (tmp_path / "ca").write_bytes(b"")
        await client.get("S")  # by the connection of before


def test_a_ca_that_becomes_whole_while_it_is_read_is_read_again(
    pki: TestPki, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = _tls(pki.tls("consumer/dev"))
    files = ClientTls(whole.cert, whole.key, tmp_path / "ca")
    ca = pki.tls("consumer/dev").ca.read_bytes()
    (tmp_path / "ca").write_bytes(ca[:40])
    check = ssl.SSLContext.load_verify_locations

    def checked(context: ssl.SSLContext, *args: Any, **more: Any) -> None:
        try:
            check(context, *args, **more)
        finally:
            monkeypatch.undo()
            (tmp_path / "ca").write_bytes(ca)

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", checked)
    assert files.read().ca == ca


async def test_who_is_not_the_service_gets_no_call(pki: TestPki, tmp_path: Path) -> None:
    failing = failing_service()
    server, port = await start(failing, pki.tls("secrets"))
    tls = _tls(pki.tls("consumer/dev"))
    strangers = tmp_path / "ca"
    strangers.write_bytes(pki.tls("consumer/dev").certificate.read_bytes())
    distrusting = ClientTls(tls.cert, tls.key, strangers)
    async with CofferClient(
        f"127.0.0.1:{port}", tls=distrusting, tenant_id=TENANT, api_key="k", timeout=1
    ) as client:
        with pytest.raises(UnavailableError):
            await client.create_string("S", "x")
    async with CofferClient(
        f"127.0.0.1:{port}", tls=tls, tenant_id=TENANT, timeout=1, server_name="other.example"
    ) as client:
        with pytest.raises(UnavailableError):
            await client.get("S")
    assert failing.keys == []
    await server.stop(None)
