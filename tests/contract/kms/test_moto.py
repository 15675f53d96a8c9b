"""Our AWS client against moto: somebody else's idea of AWS, where it has one.

moto knows no key states, no key policies and no trust policies (`devcloud` does); it agrees with us about how
Encrypt, Decrypt and AssumeRole look on the wire, and about what is not there.
"""

from __future__ import annotations

import uuid
import warnings
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from services.kms.keys.proofs import probe
from services.kms.model import KeyFacts, KmsTarget, Reason, WrapError
from services.kms.providers.aws import AwsProvider
from tests.fakes.kms_keys import CountingMeter

with warnings.catch_warnings():
    # What moto's own imports warn of is no fault of ours.
    warnings.simplefilter("ignore")
    from moto.server import ThreadedMotoServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from services.kms.ports import WrappingKey

REGION = "eu-central-1"
MASTER_KEY = bytes(range(32))
TENANT = uuid.UUID(int=1)
FACTS = KeyFacts(TENANT, uuid.UUID(int=7))


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    with pytest.MonkeyPatch.context() as env:
        env.setenv("AWS_ACCESS_KEY_ID", "x")
        env.setenv("AWS_SECRET_ACCESS_KEY", "y")
        env.setenv("AWS_EC2_METADATA_DISABLED", "true")
        for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN"):
            env.delenv(name, raising=False)
        server.start()
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
        server.stop()


@pytest.fixture(scope="module")
def kms(url: str) -> Iterator[Any]:
    """The customer's own client."""
    client = boto3.client("kms", region_name=REGION, endpoint_url=url)
    yield client
    client.close()


class Customer:
    """A key at moto, and our provider for it."""

    def __init__(self, provider: AwsProvider, arn: str) -> None:
        self._provider = provider
        self.arn = arn
        self.account = arn.split(":")[4]

    def key(self, key_ref: str | None = None, region: str = REGION) -> WrappingKey:
        role = f"arn:aws:iam::{self.account}:role/coffer"
        config = {"region": region, "role_arn": role, "external_id": None}
        return self._provider.key(TENANT, KmsTarget("aws", key_ref or self.arn, config))


@pytest.fixture
def customer(url: str, kms: Any) -> Iterator[Customer]:
    provider = AwsProvider(CountingMeter(), sts_endpoint_url=url, kms_endpoint_url=url)
    yield Customer(provider, kms.create_key()["KeyMetadata"]["Arn"])
    provider.close()


async def fails(key: WrappingKey, facts: KeyFacts = FACTS, wrapped: Any = None) -> Reason:
    call = key.unwrap(facts, wrapped) if wrapped else key.wrap(facts, MASTER_KEY)
    with pytest.raises(WrapError) as caught:
        await call
    assert "moto" not in caught.value.hint
    return caught.value.reason


async def test_a_round_trip_and_the_probe_pass(customer: Customer) -> None:
    wrapped = await customer.key().wrap(FACTS, MASTER_KEY)
    assert wrapped.key_ref == customer.arn
    assert await customer.key().unwrap(FACTS, wrapped) == MASTER_KEY
    assert (await probe(customer.key(), TENANT)).key_ref == customer.arn


async def test_other_facts_do_not_open_it(customer: Customer) -> None:
    wrapped = await customer.key().wrap(FACTS, MASTER_KEY)
    for wrong in (KeyFacts(uuid.uuid4(), FACTS.key_id), KeyFacts(TENANT, uuid.uuid4())):
        assert await fails(customer.key(), wrong, wrapped) is Reason.ROUNDTRIP_MISMATCH


async def test_a_key_that_is_not_there_or_is_elsewhere_is_not_found(customer: Customer) -> None:
    gone = f"{customer.arn.rpartition('/')[0]}/{uuid.uuid4()}"
    assert await fails(customer.key(gone)) is Reason.KEY_NOT_FOUND
    assert await fails(customer.key(region="us-east-1")) is Reason.KEY_NOT_FOUND


async def test_an_alias_is_followed_and_then_forgotten(customer: Customer, kms: Any) -> None:
    alias = f"alias/coffer-{uuid.uuid4()}"
    kms.create_alias(AliasName=alias, TargetKeyId=customer.arn)
    key = customer.key(f"{customer.arn.rpartition(':')[0]}:{alias}")
    wrapped = await key.wrap(FACTS, MASTER_KEY)
    assert wrapped.key_ref == customer.arn
    kms.update_alias(AliasName=alias, TargetKeyId=kms.create_key()["KeyMetadata"]["Arn"])
    assert await key.unwrap(FACTS, wrapped) == MASTER_KEY
