"""What only Google has: checksums, versions, tokens of impersonated accounts, quota projects, streams."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from functools import partial
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from devcloud.faults import FaultKind
from devcloud.gcp.model import VersionState
from services.common.errors import UnavailableError
from services.kms.model import Reason, WrapError
from tests.contract.kms.sites.asking import MASTER_KEY, facts, fails
from tests.contract.kms.sites.gcp import GcpSite, running
from tests.contract.kms.sites.site import Operation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from devcloud.gcp.control import GcpControl
    from devcloud.gcp.server import GcpServer


@pytest.fixture(scope="module")
def server() -> Iterator[GcpServer]:
    with running() as started:
        yield started


@pytest.fixture(scope="module")
def control(server: GcpServer) -> Iterator[GcpControl]:
    with server.control() as client:
        yield client


@pytest.fixture
async def site(server: GcpServer, control: GcpControl) -> AsyncIterator[GcpSite]:
    made = GcpSite(server, control)
    yield made
    await made.close()


async def eventually(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not true():
        assert time.monotonic() < until
        await asyncio.sleep(0.05)


def under_way(site: GcpSite, operation: Operation) -> int:
    resource = (site.customer.service_account, site.customer.key)[operation is not Operation.LOGIN]
    return sum(tally.in_flight for tally in site.control.tallies() if tally.resource == resource)


def many_under_way(site: GcpSite, operation: Operation) -> bool:
    return under_way(site, operation) >= 40


def counts(site: GcpSite) -> list[int]:
    return [site.count(one) for one in Operation]


def tap(monkeypatch: pytest.MonkeyPatch, interceptor: grpc.aio.UnaryUnaryClientInterceptor) -> None:
    """Let it hear what the provider's channels carry that are opened from now on."""
    channel = grpc.aio.secure_channel

    def tapped(*arguments: Any, **options: Any) -> Any:
        return channel(*arguments, **{**options, "interceptors": [interceptor]})

    monkeypatch.setattr(grpc.aio, "secure_channel", tapped)


# Checksums


async def test_an_answer_damaged_on_its_way_is_asked_for_once_more_and_not_again(
    site: GcpSite,
) -> None:
    key, damage = site.customer.key, FaultKind.BAD_CHECKSUM
    site.control.break_answers(damage, key, times=1)
    wrapped = await site.key().wrap(facts(site), MASTER_KEY)
    assert site.count(Operation.WRAP) == 2
    site.control.break_answers(damage, key, times=1)
    assert await site.key().unwrap(facts(site), wrapped) == MASTER_KEY
    assert site.count(Operation.UNWRAP) == 2
    site.control.break_answers(damage, key)
    await fails(site.key().wrap(facts(site), MASTER_KEY), Reason.ROUNDTRIP_MISMATCH)
    await fails(site.key().unwrap(facts(site), wrapped), Reason.ROUNDTRIP_MISMATCH)
    assert counts(site)[1:] == [4, 4]


# Versions


async def test_after_a_rotation_the_old_version_opens_and_the_new_one_wraps(site: GcpSite) -> None:
    old = await site.key().wrap(facts(site), MASTER_KEY)
    assert old.key_ref == f"{site.customer.key}/cryptoKeyVersions/1"
    site.control.rotate(site.customer.key)
    new = await site.key().wrap(facts(site), MASTER_KEY)
    assert new.key_ref == f"{site.customer.key}/cryptoKeyVersions/2"
    for wrapped in (old, new):
        assert await site.key().unwrap(facts(site), wrapped) == MASTER_KEY


async def test_only_the_version_that_is_disabled_is_refused_and_named(site: GcpSite) -> None:
    old = await site.key().wrap(facts(site), MASTER_KEY)
    site.control.rotate(site.customer.key)
    assert old.key_ref
    site.control.set_version_state(old.key_ref, VersionState.DISABLED)
    hint = await fails(site.key().unwrap(facts(site), old), Reason.KEY_DISABLED)
    assert f"The version {old.key_ref} is disabled" in hint
    await site.key().wrap(facts(site), MASTER_KEY)
    for state, words in (
        (VersionState.DESTROY_SCHEDULED, "Restore it"),
        (VersionState.DESTROYED, "is lost"),
    ):
        site.control.set_version_state(old.key_ref, state)
        assert words in await fails(site.key().unwrap(facts(site), old), Reason.KEY_DISABLED)


async def test_a_key_without_a_primary_version_cannot_wrap(site: GcpSite) -> None:
    site.control.set_primary(site.customer.key, None)
    hint = await fails(site.key().wrap(facts(site), MASTER_KEY), Reason.KEY_DISABLED)
    assert "no primary version" in hint


async def test_what_one_key_wrapped_is_opened_with_that_key_whatever_is_asked(
    site: GcpSite,
) -> None:
    wrapped = await site.key().wrap(facts(site), MASTER_KEY)
    other = site.missing()  # may use every key of the ring
    assert await other.unwrap(facts(site), wrapped) == MASTER_KEY


# Tokens


async def test_a_crowd_logs_in_once_and_tenants_do_not_share_a_token(site: GcpSite) -> None:
    await asyncio.gather(*(site.key().wrap(facts(site), MASTER_KEY) for _ in range(30)))
    assert site.count(Operation.LOGIN) == 1
    await site.key_of(uuid.uuid4()).wrap(facts(site), MASTER_KEY)
    assert site.count(Operation.LOGIN) == 2


async def test_a_token_is_used_again_for_no_longer_than_told(
    server: GcpServer, control: GcpControl
) -> None:
    site = GcpSite(server, control, reuse_seconds=0.3)
    wrapped = await site.key().wrap(facts(site), MASTER_KEY)
    control.revoke_impersonation(site.customer.service_account, site.principal_email)
    refused = None
    until = time.monotonic() + 10
    while refused is None and time.monotonic() < until:
        try:
            await site.key().unwrap(facts(site), wrapped)
        except WrapError as error:
            refused = error.reason
    assert refused is Reason.ACCESS_DENIED
    await site.close()


async def test_a_token_that_lives_shorter_than_told_is_renewed(
    server: GcpServer, control: GcpControl
) -> None:
    site = GcpSite(server, control)
    control.set_token_lifetime(2.0)
    try:
        wrapped = await site.key().wrap(facts(site), MASTER_KEY)
        until = time.monotonic() + 20
        while site.count(Operation.LOGIN) < 2:
            assert time.monotonic() < until
            assert await site.key().unwrap(facts(site), wrapped) == MASTER_KEY
            await asyncio.sleep(0.1)
    finally:
        control.set_token_lifetime(None)
        await site.close()


class Delaying(grpc.aio.UnaryUnaryClientInterceptor):
    """Hands over the second answer of those to the first token only once another token is used."""

    def __init__(self) -> None:
        self.tokens: list[str] = []
        self.renewed = asyncio.Event()

    async def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        self.tokens.append(dict(details.metadata)["authorization"])
        second = len(self.tokens) == 2
        if self.tokens[-1] != self.tokens[0]:
            self.renewed.set()
        call = await continuation(details, request)
        if second:
            await asyncio.wait_for(self.renewed.wait(), 10)
        return call


async def test_a_late_refusal_of_the_old_token_does_not_cost_the_new_one(
    site: GcpSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    tap(monkeypatch, delaying := Delaying())
    await site.key().wrap(facts(site), MASTER_KEY)
    site.expire_logins()
    delaying.tokens.clear()
    await asyncio.gather(*(site.key().wrap(facts(site), MASTER_KEY) for _ in range(2)))
    assert len(delaying.tokens) == 4
    assert site.count(Operation.LOGIN) == 2


async def test_our_own_token_that_expired_is_renewed_unnoticed(site: GcpSite) -> None:
    await site.key().wrap(facts(site), MASTER_KEY)
    site.control.expire_tokens(site.principal_email)
    await site.key_of(uuid.uuid4()).wrap(facts(site), MASTER_KEY)


async def test_a_service_account_that_is_gone_is_a_refusal_of_the_customers(site: GcpSite) -> None:
    wrapped = await site.key().wrap(facts(site), MASTER_KEY)
    site.control.delete_service_account(site.customer.service_account)
    hint = await fails(site.key().unwrap(facts(site), wrapped), Reason.ACCESS_DENIED)
    assert "must exist" in hint


async def test_our_own_broken_identity_is_no_word_about_the_customers_key(
    site: GcpSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/credentials.json")
    for config in ({}, {"impersonate_service_account": None}):
        call = site.key(**config).wrap(facts(site), MASTER_KEY)
        hint = await fails(call, Reason.UNREACHABLE)
        assert "the platform's own identity" in hint
        assert "nowhere" not in hint
    assert counts(site) == [0, 0, 0]


async def test_the_operators_own_key_is_used_without_impersonation(
    site: GcpSite, server: GcpServer
) -> None:
    own = server.announcement()["gcp_operator_key"]
    key = site.key(own, impersonate_service_account=None)
    wrapped = await key.wrap(facts(site), MASTER_KEY)
    assert await key.unwrap(facts(site), wrapped) == MASTER_KEY
    assert key.describe().principal == site.principal_email
    assert site.count(Operation.LOGIN) == 0
    refused = site.key(impersonate_service_account=None).wrap(facts(site), MASTER_KEY)
    assert site.principal_email in await fails(refused, Reason.ACCESS_DENIED)


# Calls


class Overheard(grpc.aio.UnaryUnaryClientInterceptor):
    """The metadata of every call of Cloud KMS."""

    def __init__(self) -> None:
        self.calls: list[tuple[dict[str, Any], float | None]] = []

    async def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        self.calls.append((dict(details.metadata), details.timeout))
        return await continuation(details, request)


@pytest.fixture
def overheard(monkeypatch: pytest.MonkeyPatch) -> Overheard:
    tap(monkeypatch, listener := Overheard())
    return listener


async def test_the_quota_project_goes_with_each_call_where_one_is_named(
    site: GcpSite, overheard: Overheard
) -> None:
    wrapped = await site.key(project_id="billing-project").wrap(facts(site), MASTER_KEY)
    await site.key().unwrap(facts(site), wrapped)
    (billed, timeout), (plain, _) = overheard.calls
    assert billed["x-goog-user-project"] == "billing-project"
    assert "x-goog-user-project" not in plain
    assert timeout is not None
    assert 0 < timeout < 10, "an attempt is bounded below the total"


async def test_neither_token_nor_key_is_ever_logged_or_shown(
    site: GcpSite,
    overheard: Overheard,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("", "google", "google.auth", "google.cloud.kms_v1", "grpc", "urllib3"):
        caplog.set_level(logging.DEBUG, name)
    sdk = logging.getLogger("google")  # it tells its parents nothing
    monkeypatch.setattr(sdk, "handlers", [caplog.handler])
    wrapped = await site.key().wrap(facts(site), MASTER_KEY)
    await site.key().unwrap(facts(site), wrapped)
    site.garble(Operation.UNWRAP)
    await fails(site.key().unwrap(facts(site), wrapped), Reason.UNREACHABLE)
    token = overheard.calls[0][0]["authorization"].removeprefix("Bearer ")
    shown = " ".join(str(vars(record)) for record in caplog.records)  # the SDK's is in `extra`
    assert len(token) > 20
    for secret in (token, repr(MASTER_KEY)[2:-1], MASTER_KEY.hex(), "AAECAwQF"):
        assert secret not in shown


async def test_many_tenants_that_hang_do_not_keep_a_healthy_one_waiting(
    site: GcpSite, server: GcpServer, control: GcpControl
) -> None:
    late = {one: GcpSite(server, control) for one in (Operation.LOGIN, Operation.WRAP)}
    crowd = []
    for operation, hanging in late.items():
        hanging.slow(operation, 8.0)
        crowd += [
            asyncio.create_task(
                site.provider_in_use.key(tenant, hanging.target()).wrap(facts(site), MASTER_KEY)
            )
            for tenant in [uuid.uuid4() for _ in range(60)]
            for _ in range(4)
        ]
    for operation, hanging in late.items():
        await eventually(partial(many_under_way, hanging, operation))
    started = time.monotonic()
    wrapped = await site.key().wrap(facts(site), MASTER_KEY)
    assert await site.key().unwrap(facts(site), wrapped) == MASTER_KEY
    assert time.monotonic() - started < 4.0, "it waited for the time-outs of others"
    for task in crowd:
        task.cancel()
    await asyncio.gather(*crowd, return_exceptions=True)
    for hanging in late.values():
        hanging.enable()
        await hanging.close()


async def test_a_call_that_never_began_is_no_word_about_the_key(
    server: GcpServer, control: GcpControl
) -> None:
    site = GcpSite(server, control, total_seconds=1.0)
    await site.key().wrap(facts(site), MASTER_KEY)
    site.slow(Operation.WRAP, 30.0)
    ends = await asyncio.gather(
        *(site.key().wrap(facts(site), MASTER_KEY) for _ in range(40)), return_exceptions=True
    )
    # Four are under way at a time. A few more may be let in when those give up, as their own time ends.
    asked = [one for one in ends if isinstance(one, WrapError)]
    waited = [one for one in ends if isinstance(one, UnavailableError)]
    assert len(asked) + len(waited) == len(ends)
    assert set(ends[:4]) <= set(asked)
    assert all(one.reason is Reason.UNREACHABLE for one in asked)
    assert waited, "who never got a place was told something about its key"
    site.enable()
    await site.close()


async def test_closing_ends_what_is_under_way(server: GcpServer, control: GcpControl) -> None:
    site = GcpSite(server, control)
    await site.key().wrap(facts(site), MASTER_KEY)
    site.slow(Operation.WRAP, 30.0)
    site.slow(Operation.LOGIN, 30.0)
    calls = [
        asyncio.create_task(key.wrap(facts(site), MASTER_KEY))
        for key in (site.key(), site.key_of(uuid.uuid4()))
    ]
    await eventually(lambda: all(under_way(site, one) for one in (Operation.WRAP, Operation.LOGIN)))
    await site.close()
    ended = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 5)
    assert all(isinstance(one, WrapError | UnavailableError) for one in ended), ended
    with pytest.raises(UnavailableError):
        await site.key().wrap(facts(site), MASTER_KEY)
    site.enable()
