"""What every WrappingKey promises, run on each one there is: the fake, the platform's, AWS's."""

from __future__ import annotations

import asyncio
import os
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from services.common.sensitive import SecretBytes
from services.kms.model import KeyFacts, KmsTarget, Reason, WrapError
from services.kms.providers.aws import AwsProvider
from services.kms.providers.platform import PlatformKey
from tests.fakes.kms_keys import CountingMeter, FakeKey

if TYPE_CHECKING:
    from collections.abc import Iterator

    from services.kms.ports import WrappingKey

MASTER_KEY = bytes(range(32))


@dataclass
class Subject:
    """A key, and another key of the same kind that must not open what the first wrapped."""

    key: WrappingKey
    other: WrappingKey


def _aws_subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    server = request.getfixturevalue("aws")
    tenant = uuid.uuid4()
    with server.control() as cloud:
        customers = [cloud.create_customer(external_id=f"coffer-{tenant}") for _ in range(2)]
    provider = AwsProvider(
        CountingMeter(), sts_endpoint_url=server.url, kms_endpoint_url=server.url
    )
    keys = [
        provider.key(
            tenant,
            KmsTarget(
                "aws",
                customer.key_arn,
                {"region": customer.region, "role_arn": customer.role_arn, "external_id": None},
            ),
        )
        for customer in customers
    ]
    yield Subject(*keys)
    provider.close()


def _platform_subject(_request: pytest.FixtureRequest) -> Iterator[Subject]:
    meter = CountingMeter()
    keys = [PlatformKey(SecretBytes(os.urandom(32)), meter) for _ in range(2)]
    yield Subject(*keys)


def _fake_subject(_request: pytest.FixtureRequest) -> Iterator[Subject]:
    yield Subject(FakeKey(), FakeKey())


@pytest.fixture(params=[_fake_subject, _platform_subject, _aws_subject])
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    yield from request.param(request)


def facts() -> KeyFacts:
    return KeyFacts(uuid.uuid4(), uuid.uuid4())


async def test_what_was_wrapped_is_unwrapped(subject: Subject) -> None:
    about = facts()
    wrapped = await subject.key.wrap(about, MASTER_KEY)
    assert MASTER_KEY not in wrapped.blob
    assert await subject.key.unwrap(about, wrapped) == MASTER_KEY


async def test_wrapping_twice_never_gives_the_same(subject: Subject) -> None:
    about = facts()
    blobs = {(await subject.key.wrap(about, MASTER_KEY)).blob for _ in range(5)}
    assert len(blobs) == 5


async def test_another_key_does_not_open_it(subject: Subject) -> None:
    about = facts()
    wrapped = await subject.key.wrap(about, MASTER_KEY)
    with pytest.raises(WrapError) as caught:
        await subject.other.unwrap(about, wrapped)
    assert caught.value.reason.definite


async def test_another_tenant_or_key_id_does_not_open_it(subject: Subject) -> None:
    about = facts()
    wrapped = await subject.key.wrap(about, MASTER_KEY)
    for wrong in (
        KeyFacts(uuid.uuid4(), about.key_id),
        KeyFacts(about.tenant_id, uuid.uuid4()),
    ):
        with pytest.raises(WrapError) as caught:
            await subject.key.unwrap(wrong, wrapped)
        assert caught.value.reason is Reason.ROUNDTRIP_MISMATCH


async def test_damaged_bytes_do_not_open(subject: Subject) -> None:
    about = facts()
    wrapped = await subject.key.wrap(about, MASTER_KEY)
    flipped = bytearray(wrapped.blob)
    flipped[-1] ^= 1
    for blob in (bytes(flipped), wrapped.blob[:-1], b"", b"x"):
        damaged = type(wrapped)(blob, wrapped.key_ref)
        with pytest.raises(WrapError) as caught:
            await subject.key.unwrap(about, damaged)
        assert caught.value.reason.definite


async def test_many_at_once_all_succeed(subject: Subject) -> None:
    about = facts()
    wrapped = await asyncio.gather(*(subject.key.wrap(about, MASTER_KEY) for _ in range(20)))
    opened = await asyncio.gather(*(subject.key.unwrap(about, one) for one in wrapped))
    assert set(opened) == {MASTER_KEY}


async def test_no_key_byte_is_in_a_repr(subject: Subject) -> None:
    wrapped = await subject.key.wrap(facts(), MASTER_KEY)
    for text in (repr(subject.key), repr(wrapped)):
        assert MASTER_KEY.hex() not in text
        assert repr(MASTER_KEY)[2:-1] not in text
        assert wrapped.blob.hex() not in text
        assert repr(wrapped.blob) not in text
