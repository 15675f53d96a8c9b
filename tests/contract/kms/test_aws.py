"""The AWS provider through the real SDK: what each state of a customer's key means to it."""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from devcloud.aws.model import KeyState, KeyUsage
from devcloud.faults import FaultKind
from services.common.errors import UnavailableError
from services.kms.model import KeyFacts, KmsTarget, Reason, WrapError
from services.kms.providers.aws import AwsProvider
from tests.fakes.kms_keys import CountingMeter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from uuid import UUID

    from devcloud.aws.seed import Customer
    from devcloud.aws.server import AwsServer
    from devcloud.control import Control
    from services.kms.model import Wrapped

MASTER_KEY = bytes(range(32))


@dataclass
class Site:
    """One customer's key, and the provider under test."""

    cloud: Control
    provider: AwsProvider
    meter: CountingMeter
    tenant: UUID
    customer: Customer

    def key(self, key_ref: str | None = None, **config: Any) -> Any:
        fields = {
            "region": self.customer.region,
            "role_arn": self.customer.role_arn,
            "external_id": None,
        }
        target = KmsTarget("aws", key_ref or self.customer.key_arn, fields | config)
        return self.provider.key(self.tenant, target)

    @property
    def facts(self) -> KeyFacts:
        return KeyFacts(self.tenant, uuid.UUID(int=7))

    async def wrapped(self) -> Wrapped:
        made: Wrapped = await self.key().wrap(self.facts, MASTER_KEY)
        return made


@pytest.fixture
def site(aws: AwsServer) -> Iterator[Site]:
    tenant, meter = uuid.uuid4(), CountingMeter()
    provider = AwsProvider(
        meter,
        sts_endpoint_url=aws.url,
        kms_endpoint_url=aws.url,
        principal_arn=aws.announcement()["aws_principal_arn"],
        total_seconds=5.0,
    )
    with aws.control() as cloud:
        customer = cloud.create_customer(external_id=f"coffer-{tenant}")
        cloud.reset_ledger()
        yield Site(cloud, provider, meter, tenant, customer)
    provider.close()


async def fails(call: Any) -> WrapError:
    with pytest.raises(WrapError) as caught:
        await call
    error = caught.value
    assert error.__cause__ is None
    for foreign in ("botocore", "An error occurred", "is not authorized to perform"):
        assert foreign not in str(error) + error.hint
    return error


KEY_STATES: dict[str, tuple[Callable[[Control, str], object], Reason, str]] = {
    "disabled": (
        lambda cloud, key: cloud.disable(key),
        Reason.KEY_DISABLED,
        "Enable it",
    ),
    "pending deletion": (
        lambda cloud, key: cloud.set_key_state(key, KeyState.PENDING_DELETION),
        Reason.KEY_DISABLED,
        "pending deletion",
    ),
    "gone": (
        lambda cloud, key: cloud.set_key_state(key, KeyState.GONE),
        Reason.KEY_NOT_FOUND,
        "There is no key",
    ),
    "denied": (
        lambda cloud, key: cloud.deny(key),
        Reason.ACCESS_DENIED,
        "kms:",
    ),
    "throttled": (
        lambda cloud, key: cloud.throttle(key),
        Reason.THROTTLED,
        "a retry is safe",
    ),
    "internal error": (
        lambda cloud, key: cloud.break_answers(FaultKind.INTERNAL, key),
        Reason.UNREACHABLE,
        "a retry is safe",
    ),
    "dropped connections": (
        lambda cloud, key: cloud.break_answers(FaultKind.DROP, key),
        Reason.UNREACHABLE,
        "a retry is safe",
    ),
    "garbage": (
        lambda cloud, key: cloud.break_answers(FaultKind.GARBAGE, key),
        Reason.UNREACHABLE,
        "a retry is safe",
    ),
}


@pytest.mark.parametrize("state", KEY_STATES)
async def test_each_state_of_a_key_has_its_reason_and_hint(site: Site, state: str) -> None:
    change, reason, hint = KEY_STATES[state]
    wrapped = await site.wrapped()
    change(site.cloud, site.customer.key_arn)
    for call in (site.key().wrap(site.facts, MASTER_KEY), site.key().unwrap(site.facts, wrapped)):
        error = await fails(call)
        assert error.reason is reason
        assert hint in error.hint


async def test_a_missing_permission_is_named_with_the_principal_that_lacks_it(site: Site) -> None:
    wrapped = await site.wrapped()
    for action, call in (
        ("kms:Encrypt", site.key().wrap(site.facts, MASTER_KEY)),
        ("kms:Decrypt", site.key().unwrap(site.facts, wrapped)),
    ):
        site.cloud.deny(site.customer.key_arn, [action])
        error = await fails(call)
        assert error.reason is Reason.ACCESS_DENIED
        for part in (action, site.customer.role_arn, site.customer.key_arn):
            assert part in error.hint


async def test_a_role_that_does_not_trust_us_is_told_the_line_that_is_missing(
    site: Site, aws: AwsServer
) -> None:
    site.cloud.set_trusted(site.customer.role_arn, [])
    error = await fails(site.key().wrap(site.facts, MASTER_KEY))
    assert error.reason is Reason.ACCESS_DENIED
    for part in (
        "sts:AssumeRole",
        site.customer.role_arn,
        aws.announcement()["aws_principal_arn"],
        f'"sts:ExternalId": "coffer-{site.tenant}"',
    ):
        assert part in error.hint


async def test_the_issued_external_id_is_sent_unless_another_is_given(site: Site) -> None:
    await site.wrapped()
    site.cloud.set_external_id(site.customer.role_arn, "my-own-id")
    error = await fails(site.key(external_id="wrong").wrap(site.facts, MASTER_KEY))
    assert error.reason is Reason.ACCESS_DENIED
    await site.key(external_id="my-own-id").wrap(site.facts, MASTER_KEY)


async def test_an_unsuitable_key_says_what_is_needed(site: Site) -> None:
    for spec, usage in (
        ("RSA_2048", KeyUsage.ENCRYPT_DECRYPT),
        ("HMAC_256", KeyUsage.GENERATE_VERIFY_MAC),
    ):
        key = site.cloud.create_key(
            account=site.customer.account, region=site.customer.region, spec=spec, usage=usage
        )
        error = await fails(site.key(key.arn).wrap(site.facts, MASTER_KEY))
        assert error.reason is Reason.KEY_UNSUITABLE
        assert "SYMMETRIC_DEFAULT" in error.hint


async def test_a_key_or_alias_that_is_not_there(site: Site) -> None:
    base = site.customer.key_arn.rpartition(":")[0]
    for key_ref in (f"{base}:key/{uuid.uuid4()}", f"{base}:alias/nobody"):
        error = await fails(site.key(key_ref).wrap(site.facts, MASTER_KEY))
        assert error.reason is Reason.KEY_NOT_FOUND
        assert key_ref in error.hint


async def test_an_alias_is_resolved_to_the_key_that_really_wrapped(site: Site) -> None:
    wrapped = await site.key(site.customer.alias_arn).wrap(site.facts, MASTER_KEY)
    assert wrapped.key_ref == site.customer.key_arn
    other = site.cloud.create_key(account=site.customer.account, region=site.customer.region)
    site.cloud.point_alias("alias/coffer", other.arn)
    key = site.key(site.customer.alias_arn)
    assert await key.unwrap(site.facts, wrapped) == MASTER_KEY


async def test_bytes_swapped_by_the_cloud_are_given_back_for_the_check_value_to_see(
    site: Site,
) -> None:
    wrapped = await site.wrapped()
    site.cloud.break_answers(FaultKind.CORRUPT, site.customer.key_arn, "Decrypt")
    assert await site.key().unwrap(site.facts, wrapped) != MASTER_KEY


async def test_one_session_serves_many_calls_and_tenants_do_not_share_it(site: Site) -> None:
    wrapped = await site.wrapped()
    await asyncio.gather(*(site.key().unwrap(site.facts, wrapped) for _ in range(30)))
    assert site.cloud.count("AssumeRole") == 1
    target = KmsTarget(
        "aws",
        site.customer.key_arn,
        {
            "region": site.customer.region,
            "role_arn": site.customer.role_arn,
            "external_id": f"coffer-{site.tenant}",
        },
    )
    await site.provider.key(uuid.uuid4(), target).wrap(site.facts, MASTER_KEY)
    assert site.cloud.count("AssumeRole") == 2


async def test_a_crowd_without_a_session_assumes_the_role_once(site: Site) -> None:
    await asyncio.gather(*(site.key().wrap(site.facts, MASTER_KEY) for _ in range(30)))
    assert site.cloud.count("AssumeRole") == 1


async def test_a_session_that_ended_is_made_anew_without_the_caller_noticing(site: Site) -> None:
    site.cloud.set_session_lifetime(1.0)
    wrapped = await site.wrapped()
    started = time.monotonic()
    while site.cloud.count("AssumeRole") < 3:
        assert time.monotonic() - started < 10
        assert await site.key().unwrap(site.facts, wrapped) == MASTER_KEY


async def test_one_quick_retry_and_no_more(site: Site) -> None:
    wrapped = await site.wrapped()
    site.cloud.throttle(site.customer.key_arn, "Decrypt", times=1)
    assert await site.key().unwrap(site.facts, wrapped) == MASTER_KEY
    site.cloud.reset_ledger()
    site.cloud.throttle(site.customer.key_arn, "Decrypt")
    await fails(site.key().unwrap(site.facts, wrapped))
    assert site.cloud.count("Decrypt") == 2
    site.cloud.clear_faults()
    site.cloud.reset_ledger()
    site.cloud.disable(site.customer.key_arn)
    await fails(site.key().unwrap(site.facts, wrapped))
    assert site.cloud.count("Decrypt") == 1, "a definite answer is not asked for again"


async def test_a_cloud_that_does_not_answer_ends_in_time(site: Site) -> None:
    wrapped = await site.wrapped()
    site.cloud.slow(site.customer.key_arn, 30.0, "Decrypt")
    started = time.monotonic()
    error = await fails(site.key().unwrap(site.facts, wrapped))
    assert error.reason is Reason.UNREACHABLE
    assert time.monotonic() - started < 6.5


async def test_72_tenants_whose_cloud_hangs_do_not_keep_a_healthy_one_waiting(
    site: Site, aws: AwsServer
) -> None:
    provider = AwsProvider(
        CountingMeter(), sts_endpoint_url=aws.url, kms_endpoint_url=aws.url, total_seconds=10.0
    )
    hanging = site.cloud.create_customer(external_id="hanging")
    site.cloud.slow(hanging.role_arn, 30.0, "AssumeRole")
    crowd = [
        asyncio.create_task(aws_key(provider, tenant, hanging).wrap(site.facts, MASTER_KEY))
        for tenant in [uuid.uuid4() for _ in range(72)]
        for _ in range(4)
    ]
    await asyncio.sleep(0)
    started = time.monotonic()
    healthy = aws_key(provider, site.tenant, site.customer)
    wrapped = await healthy.wrap(site.facts, MASTER_KEY)
    assert await healthy.unwrap(site.facts, wrapped) == MASTER_KEY
    assert time.monotonic() - started < 4.0, "it waited for the time-outs of others"
    for task in crowd:
        task.cancel()
    await asyncio.gather(*crowd, return_exceptions=True)
    provider.close()


async def test_a_call_that_never_began_is_no_word_about_the_key(site: Site, aws: AwsServer) -> None:
    provider = AwsProvider(
        CountingMeter(), sts_endpoint_url=aws.url, kms_endpoint_url=aws.url, total_seconds=0.7
    )
    others = [site.cloud.create_customer(external_id="own-id") for _ in range(2)]
    for other in others:
        site.cloud.slow(other.role_arn, 30.0, "AssumeRole")
    asked, waiting = await asyncio.gather(
        *(aws_key(provider, site.tenant, other).wrap(site.facts, MASTER_KEY) for other in others),
        return_exceptions=True,
    )
    provider.close()
    assert isinstance(asked, WrapError)
    assert asked.reason is Reason.UNREACHABLE
    assert isinstance(waiting, UnavailableError)


def aws_key(provider: AwsProvider, tenant: UUID, customer: Customer) -> Any:
    config = {
        "region": customer.region,
        "role_arn": customer.role_arn,
        "external_id": customer.external_id,
    }
    return provider.key(tenant, KmsTarget("aws", customer.key_arn, config))


async def test_a_closed_port_is_unreachable_and_names_no_host(aws: AwsServer) -> None:
    meter = CountingMeter()
    provider = AwsProvider(
        meter, sts_endpoint_url="http://127.0.0.1:1", kms_endpoint_url="http://127.0.0.1:1"
    )
    config = {"region": "eu-central-1", "role_arn": "arn:aws:iam::444455556666:role/x"}
    target = KmsTarget("aws", "arn:aws:kms:eu-central-1:444455556666:key/x", config)
    error = await fails(
        provider.key(uuid.uuid4(), target).wrap(KeyFacts(uuid.uuid4(), uuid.uuid4()), MASTER_KEY)
    )
    provider.close()
    assert error.reason is Reason.UNREACHABLE
    assert "127.0.0.1" not in error.hint
    assert set(meter.counted) == {("aws", "sts:AssumeRole", "unreachable")}


async def test_our_own_broken_identity_is_no_word_about_the_customers_key(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-the-secret")
    error = await fails(site.key().wrap(site.facts, MASTER_KEY))
    assert error.reason is Reason.UNREACHABLE
    assert "the platform's own identity" in error.hint


async def test_every_call_is_counted_by_its_outcome(site: Site) -> None:
    wrapped = await site.wrapped()
    await site.key().unwrap(site.facts, wrapped)
    site.cloud.disable(site.customer.key_arn)
    await fails(site.key().unwrap(site.facts, wrapped))
    assert site.meter.counted == [
        ("aws", "sts:AssumeRole", "ok"),
        ("aws", "kms:Encrypt", "ok"),
        ("aws", "kms:Decrypt", "ok"),
        ("aws", "kms:Decrypt", "key_disabled"),
    ]


async def test_tenant_and_key_id_travel_as_encryption_context(site: Site) -> None:
    wrapped = await site.wrapped()
    for facts in (
        KeyFacts(uuid.uuid4(), site.facts.key_id),
        KeyFacts(site.tenant, uuid.uuid4()),
    ):
        error = await fails(site.key().unwrap(facts, wrapped))
        assert error.reason is Reason.ROUNDTRIP_MISMATCH
