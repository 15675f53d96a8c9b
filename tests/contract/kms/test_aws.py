"""What only AWS has: roles and external ids, aliases, sessions, an encryption context, threads."""

from __future__ import annotations

import asyncio
import json
import threading
import time
import uuid
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from devcloud.aws.model import KeyState
from devcloud.faults import FaultKind
from devcloud.http import HttpAnswer
from services.common.clock import clock
from services.kms.model import KmsTarget, Reason
from services.kms.providers.aws import sessions
from services.kms.providers.aws.sessions import SessionKey, SessionMaker
from tests.contract.kms.sites import servers
from tests.contract.kms.sites.asking import KEY_ID, MASTER_KEY, facts, fails
from tests.contract.kms.sites.aws import AwsSite, running
from tests.contract.kms.sites.site import Operation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from datetime import tzinfo
    from pathlib import Path

    from devcloud.aws.server import AwsServer
    from devcloud.control import Control
    from devcloud.http import HttpRequest


@pytest.fixture(scope="module")
def server() -> Iterator[AwsServer]:
    with running() as started:
        yield started


@pytest.fixture(scope="module")
def control(server: AwsServer) -> Iterator[Control]:
    with server.control() as client:
        yield client


@pytest.fixture
async def site(server: AwsServer, control: Control) -> AsyncIterator[AwsSite]:
    made = AwsSite(server, control)
    yield made
    await made.close()


def encrypted(key_arn: str) -> HttpAnswer:
    return HttpAnswer(200, json.dumps({"CiphertextBlob": "eA==", "KeyId": key_arn}).encode())


async def test_a_role_that_does_not_trust_us_is_told_the_line_that_is_missing(
    site: AwsSite,
) -> None:
    site.deny(Operation.LOGIN)
    key = site.key(external_id=None)
    hint = await fails(key.wrap(facts(site), MASTER_KEY), Reason.ACCESS_DENIED)
    for part in (
        "sts:AssumeRole",
        site.customer.role_arn,
        site.principal_arn,
        f'"sts:ExternalId": "coffer-{site.tenant}"',
        "itself lacks sts:AssumeRole",
    ):
        assert part in hint


async def test_the_issued_external_id_is_sent_unless_another_is_given(site: AwsSite) -> None:
    await site.key(external_id=None).wrap(facts(site), MASTER_KEY)
    site.control.set_external_id(site.customer.role_arn, "my-own-id")
    wrong = site.key(external_id="wrong").wrap(facts(site), MASTER_KEY)
    await fails(wrong, Reason.ACCESS_DENIED)
    await site.key(external_id="my-own-id").wrap(facts(site), MASTER_KEY)


async def test_an_alias_is_resolved_to_the_key_that_really_wrapped(site: AwsSite) -> None:
    key = site.key(site.customer.alias_arn)
    wrapped = await key.wrap(facts(site), MASTER_KEY)
    assert wrapped.key_ref == site.customer.key_arn
    other = site.control.create_key(account=site.customer.account, region=site.customer.region)
    site.control.point_alias("alias/coffer", other.arn)
    assert await key.unwrap(facts(site), wrapped) == MASTER_KEY
    assert site.control.count("Decrypt", other.arn) == 0
    site.disable()
    hint = await fails(key.unwrap(facts(site), wrapped), Reason.KEY_DISABLED)
    assert site.customer.key_arn in hint, "it is this key, not where the alias points now"


async def test_an_alias_that_is_not_there(site: AwsSite) -> None:
    alias = f"{site.customer.key_arn.rpartition(':')[0]}:alias/nobody"
    hint = await fails(site.key(alias).wrap(facts(site), MASTER_KEY), Reason.KEY_NOT_FOUND)
    assert alias in hint


async def test_a_deleted_key_and_an_internal_error_are_told_apart(site: AwsSite) -> None:
    site.control.break_answers(FaultKind.INTERNAL, site.customer.key_arn)
    await fails(site.key().wrap(facts(site), MASTER_KEY), Reason.UNREACHABLE)
    site.enable()
    site.control.set_key_state(site.customer.key_arn, KeyState.GONE)
    hint = await fails(site.key().wrap(facts(site), MASTER_KEY), Reason.KEY_NOT_FOUND)
    assert "There is no key" in hint


async def test_tenant_and_key_id_are_seen_in_the_customers_log(site: AwsSite) -> None:
    await site.key().wrap(facts(site), MASTER_KEY)
    (call,) = [one for one in site.control.calls() if one.resource == site.customer.key_arn]
    assert call.context == {"coffer-tenant": str(site.tenant), "coffer-key": str(KEY_ID)}
    assert call.caller is not None
    assert call.caller.endswith("assumed-role/coffer-kms-access/coffer-kms")


async def test_sessions_are_renewed_before_they_expire(server: AwsServer, control: Control) -> None:
    site = AwsSite(server, control, reuse_seconds=3600.0)
    control.set_session_lifetime(2.5)
    try:
        wrapped = await site.key().wrap(facts(site), MASTER_KEY)
        deadline = time.monotonic() + 15
        while site.count(Operation.LOGIN) < 2:
            assert time.monotonic() < deadline
            assert await site.key().unwrap(facts(site), wrapped) == MASTER_KEY
            await asyncio.sleep(0.02)
        decrypted = [one for one in control.tallies() if one.resource == site.customer.key_arn]
        assert {outcome for one in decrypted for outcome in one.outcomes} == {"ok"}
    finally:
        control.set_session_lifetime(None)
        await site.close()


def test_a_session_of_15_minutes_is_given_up_with_minutes_to_spare(
    site: AwsSite, server: AwsServer
) -> None:
    key = SessionKey(
        site.tenant, site.customer.role_arn, site.customer.external_id, site.customer.region
    )
    for reuse, longest in ((3600.0, 720.0), (30.0, 30.0)):
        maker = SessionMaker(
            sts_endpoint_url=server.url, kms_endpoint_url=server.url, reuse_seconds=reuse
        )
        asked_at = clock()
        session = maker.make(key)
        used_for = session.good_until - asked_at
        assert longest - 10.0 < used_for < longest + 2.0
        session.kms.close()
        maker.close()


def test_a_wall_clock_that_is_set_back_makes_no_session_last_longer(
    site: AwsSite, server: AwsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    class SetBack(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> SetBack:
            return cls.fromtimestamp(time.time() - 600, tz)

    key = SessionKey(
        site.tenant, site.customer.role_arn, site.customer.external_id, site.customer.region
    )
    maker = SessionMaker(
        sts_endpoint_url=server.url, kms_endpoint_url=server.url, reuse_seconds=0.05
    )
    session = maker.make(key)
    monkeypatch.setattr(sessions, "datetime", SetBack)
    deadline = time.monotonic() + 10
    while session.good:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    session.kms.close()
    maker.close()


async def test_a_late_refusal_of_the_old_session_does_not_cost_the_new_one(site: AwsSite) -> None:
    expired = HttpAnswer(400, b'{"__type": "ExpiredTokenException"}')
    done = encrypted(site.customer.key_arn)
    tokens: list[str] = []
    renewed = threading.Event()

    def answer(request: HttpRequest) -> HttpAnswer:
        tokens.append(request.headers["x-amz-security-token"])
        if tokens[-1] != tokens[0]:
            renewed.set()
            return done
        if len(tokens) > 1:
            assert renewed.wait(10)
        return expired

    with servers.scripted(answer) as kms:
        key = site.provider(kms=kms.url).key(site.tenant, site.target())
        await asyncio.gather(*(key.wrap(facts(site), MASTER_KEY) for _ in range(2)))
    assert len(tokens) == 4
    assert site.count(Operation.LOGIN) == 2


async def test_a_customer_who_revoked_old_sessions_but_trusts_us_is_served(site: AwsSite) -> None:
    refusal = HttpAnswer(400, b'{"__type": "AccessDeniedException"}')
    done = encrypted(site.customer.key_arn)
    tokens: list[str] = []
    revoked: set[str] = set()

    def answer(request: HttpRequest) -> HttpAnswer:
        tokens.append(request.headers["x-amz-security-token"])
        return refusal if tokens[-1] in revoked else done

    with servers.scripted(answer) as kms:
        key = site.provider(kms=kms.url).key(site.tenant, site.target())
        await key.wrap(facts(site), MASTER_KEY)
        revoked.update(tokens)
        await key.wrap(facts(site), MASTER_KEY)
        assert site.count(Operation.LOGIN) == 2


async def test_a_new_session_that_is_denied_is_not_made_once_more(site: AwsSite) -> None:
    site.deny(Operation.WRAP)
    await fails(site.key().wrap(facts(site), MASTER_KEY), Reason.ACCESS_DENIED)
    assert (site.count(Operation.LOGIN), site.count(Operation.WRAP)) == (1, 1)
    await fails(site.key().wrap(facts(site), MASTER_KEY), Reason.ACCESS_DENIED)
    assert (site.count(Operation.LOGIN), site.count(Operation.WRAP)) == (2, 3)


async def test_a_key_that_nobody_asked_to_wrap_is_told_and_not_stored(site: AwsSite) -> None:
    arn = site.customer.key_arn
    place, _, key_id = arn.rpartition(":key/")
    beside = f"{place}:key/{uuid.uuid4()}"
    account, region = site.customer.account, site.customer.region
    strangers = (
        f"{place.replace(account, '999999999999')}:key/{key_id}",
        f"{place.replace(region, 'us-east-1')}:key/{key_id}",
        f"{place.replace('arn:aws:', 'arn:aws-cn:')}:key/{key_id}",
        site.customer.alias_arn,
    )
    used = [arn]
    with servers.scripted(lambda _request: encrypted(used[0])) as kms:
        provider = site.provider(kms=kms.url)
        key = provider.key(site.tenant, site.target())
        alias = provider.key(site.tenant, site.target(site.customer.alias_arn))
        assert (await key.wrap(facts(site), MASTER_KEY)).key_ref == arn
        used[0] = beside
        assert (await alias.wrap(facts(site), MASTER_KEY)).key_ref == beside
        for one, answers in ((key, (beside, *strangers)), (alias, strangers)):
            for used[0] in answers:
                hint = await fails(one.wrap(facts(site), MASTER_KEY), Reason.ROUNDTRIP_MISMATCH)
                assert "must not be used" in hint
                assert one.describe().key_ref in hint


async def test_a_role_that_was_deleted_is_a_definite_refusal(site: AwsSite) -> None:
    wrapped = await site.key().wrap(facts(site), MASTER_KEY)
    site.deny(Operation.LOGIN)
    site.expire_logins()
    await fails(site.key().unwrap(facts(site), wrapped), Reason.ACCESS_DENIED)


async def test_without_a_role_our_own_identity_uses_the_key(
    site: AwsSite, server: AwsServer
) -> None:
    account = server.announcement()["aws_operator_account"]
    own = site.control.create_key(account=account, region=site.customer.region)
    key = site.key(own.arn, role_arn=None, external_id=None)
    described = key.describe()
    assert described.principal == site.principal_arn
    assert described.permissions == ("kms:Encrypt", "kms:Decrypt")
    wrapped = await key.wrap(facts(site), MASTER_KEY)
    assert await key.unwrap(facts(site), wrapped) == MASTER_KEY
    assert site.count(Operation.LOGIN) == 0
    assert {operation for _, operation, _ in site.meter.counted} == {"kms:Encrypt", "kms:Decrypt"}
    site.control.deny(own.arn, ["kms:Decrypt"])
    hint = await fails(key.unwrap(facts(site), wrapped), Reason.ACCESS_DENIED)
    for part in ("kms:Decrypt", site.principal_arn, own.arn):
        assert part in hint


async def test_our_own_broken_identity_is_no_word_about_the_customers_key(
    site: AwsSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-the-secret")
    hint = await fails(site.key().wrap(facts(site), MASTER_KEY), Reason.UNREACHABLE)
    assert "the platform's own identity" in hint


async def test_every_call_is_counted_by_its_outcome(site: AwsSite) -> None:
    wrapped = await site.key().wrap(facts(site), MASTER_KEY)
    await site.key().unwrap(facts(site), wrapped)
    site.disable()
    await fails(site.key().unwrap(facts(site), wrapped), Reason.KEY_DISABLED)
    assert site.meter.counted == [
        ("aws", "sts:AssumeRole", "ok"),
        ("aws", "kms:Encrypt", "ok"),
        ("aws", "kms:Decrypt", "ok"),
        ("aws", "kms:Decrypt", "key_disabled"),
    ]


STS_WITHOUT_CREDENTIALS = (
    b'<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult/>'
    b"</AssumeRoleResponse>"
)
ODD_ANSWERS = (
    ("sts", STS_WITHOUT_CREDENTIALS),
    ("sts", b""),
    ("sts", b"{}"),
    ("kms", b"{}"),
    ("kms", b"OK"),
    ("kms", b"[]"),
    ("kms", b'{"CiphertextBlob": "%%%", "KeyId": "x"}'),
    ("kms", b'{"CiphertextBlob": 7, "KeyId": {}}'),
    ("kms", b'{"CiphertextBlob": "eA=="}'),
    ("kms", b'{"CiphertextBlob": "eA==", "KeyId": {"a": 1}}'),
)


async def test_an_answer_that_lacks_what_it_must_have_is_none(site: AwsSite) -> None:
    # One by one: what is slow to come, as among many on a busy machine, is not tried again.
    for service, body in ODD_ANSWERS:
        with servers.scripted(HttpAnswer(200, body)) as cloud:
            provider = site.provider(**{service: cloud.url})
            key = provider.key(site.tenant, site.target())
            hint = await fails(key.wrap(facts(site), MASTER_KEY), Reason.UNREACHABLE)
            assert len(cloud.asked) == 2, body
        assert {"sts": "sts:AssumeRole", "kms": "kms:Encrypt"}[service] in hint


async def test_an_external_key_store_that_does_not_answer_is_no_refusal(site: AwsSite) -> None:
    message = (
        "AWS KMS rejected the request because the external key store proxy did not respond in time."
    )
    body = json.dumps({"__type": "KMSInvalidStateException", "message": message}).encode()
    site.intercept(Operation.WRAP, lambda _request: HttpAnswer(400, body))
    hint = await fails(site.key().wrap(facts(site), MASTER_KEY), Reason.UNREACHABLE)
    assert "key store" in hint
    assert "did not respond in time" not in hint, "it is AWS's own text"


async def test_an_endpoint_over_tls_is_used_once_its_ca_is_trusted(
    site: AwsSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, ca_file = servers.certificate(tmp_path)
    denied = b"<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>"
    with servers.scripted(HttpAnswer(403, denied), tls=context) as cloud:
        key = site.provider(sts=cloud.url).key(site.tenant, site.target())
        await fails(key.wrap(facts(site), MASTER_KEY), Reason.UNREACHABLE)
        assert cloud.asked == []
        monkeypatch.setenv("AWS_CA_BUNDLE", str(ca_file))
        key = site.provider(sts=cloud.url).key(site.tenant, site.target())
        await fails(key.wrap(facts(site), MASTER_KEY), Reason.ACCESS_DENIED)
        assert len(cloud.asked) == 1


async def test_72_tenants_whose_cloud_hangs_do_not_keep_a_healthy_one_waiting(
    site: AwsSite,
) -> None:
    hanging = site.control.create_customer(external_id="hanging")
    site.control.slow(hanging.role_arn, 30.0, "AssumeRole")
    target = KmsTarget(
        "aws",
        hanging.key_arn,
        {"region": hanging.region, "role_arn": hanging.role_arn, "external_id": "hanging"},
    )
    provider = site.provider()
    crowd = [
        asyncio.create_task(provider.key(tenant, target).wrap(facts(site), MASTER_KEY))
        for tenant in [uuid.uuid4() for _ in range(72)]
        for _ in range(4)
    ]
    await asyncio.sleep(0)
    started = time.monotonic()
    healthy = provider.key(site.tenant, site.target())
    wrapped = await healthy.wrap(facts(site), MASTER_KEY)
    assert await healthy.unwrap(facts(site), wrapped) == MASTER_KEY
    assert time.monotonic() - started < 4.0, "it waited for the time-outs of others"
    for task in crowd:
        task.cancel()
    await asyncio.gather(*crowd, return_exceptions=True)
