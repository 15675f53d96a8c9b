"""What every WrappingKey promises, run on each one there is: the fake, the platform's, each cloud's."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import logging
import os
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import structlog

from services.common.sensitive import SecretBytes
from services.common.telemetry import configure_logging
from services.kms.model import KeyFacts, Reason, WrapError, Wrapped
from services.kms.providers.platform import PlatformKey
from tests.contract.kms.sites.clouds import CLOUDS
from tests.fakes.kms_keys import CountingMeter, FakeKey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from contextlib import AbstractAsyncContextManager

    from services.kms.ports import WrappingKey
    from tests.contract.kms.sites.site import MakeSite

    MakeSubject = Callable[[], AbstractAsyncContextManager["Subject"]]

MASTER_KEY = bytes(range(32))


@dataclass
class Subject:
    """A key, and another key of the same kind that must not open what the first wrapped."""

    key: WrappingKey
    other: WrappingKey
    authenticates_context: bool = True


@contextlib.asynccontextmanager
async def in_cloud(make: MakeSite) -> AsyncIterator[Subject]:
    site, other = make(), make()
    yield Subject(site.key(), other.key(), site.authenticates_context)
    await site.close()
    await other.close()


@contextlib.asynccontextmanager
async def platforms() -> AsyncIterator[Subject]:
    meter = CountingMeter()
    key, other = (PlatformKey(SecretBytes(os.urandom(32)), meter) for _ in range(2))
    yield Subject(key, other)


@contextlib.asynccontextmanager
async def fakes() -> AsyncIterator[Subject]:
    yield Subject(FakeKey(), FakeKey())


@pytest.fixture(scope="module", params=["fake", "platform", *CLOUDS])
def make_subject(request: pytest.FixtureRequest) -> Iterator[MakeSubject]:
    own: dict[str, MakeSubject] = {"fake": fakes, "platform": platforms}
    if request.param in own:
        yield own[request.param]
        return
    with CLOUDS[request.param]() as make:
        yield lambda: in_cloud(make)


@pytest.fixture
async def subject(make_subject: MakeSubject) -> AsyncIterator[Subject]:
    async with make_subject() as made:
        yield made


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
        await subject.other.unwrap(about, Wrapped(wrapped.blob))
    assert caught.value.reason is Reason.ROUNDTRIP_MISMATCH


async def test_another_tenant_or_key_id_does_not_open_it(subject: Subject) -> None:
    if not subject.authenticates_context:
        return  # the check value has to notice: see test_contract
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
        with pytest.raises(WrapError) as caught:
            await subject.key.unwrap(about, Wrapped(blob, wrapped.key_ref))
        assert caught.value.reason in {Reason.ROUNDTRIP_MISMATCH, Reason.INVALID_REQUEST}


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


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What a process of ours logs when its operator asks for everything."""
    root, structured = logging.getLogger(), structlog.get_config()
    before, handlers = root.level, root.handlers
    levels = {
        name: one.level
        for name, one in root.manager.loggerDict.items()
        if isinstance(one, logging.Logger)
    }
    with contextlib.redirect_stderr(io.StringIO()) as out:
        configure_logging("kms", "debug")
    yield out
    root.setLevel(before)
    root.handlers = handlers
    structlog.configure(**structured)
    for name in list(root.manager.loggerDict):
        logging.getLogger(name).setLevel(levels.get(name, logging.NOTSET))


async def test_no_key_byte_is_in_the_log_even_when_everything_is_logged(
    subject: Subject, log: io.StringIO
) -> None:
    logging.getLogger("services.kms").debug("a line that is seen")
    about = facts()
    wrapped = await subject.key.wrap(about, MASTER_KEY)
    await subject.key.unwrap(about, wrapped)
    with pytest.raises(WrapError):
        await subject.key.unwrap(about, Wrapped(wrapped.blob[:-1], wrapped.key_ref))
    for handler in logging.getLogger().handlers:
        handler.flush()
    text = log.getvalue()
    assert "a line that is seen" in text
    for secret in (MASTER_KEY, wrapped.blob):
        assert secret.hex() not in text
        assert repr(secret)[2:-1] not in text
        assert base64.b64encode(secret).decode()[:24] not in text
        assert base64.urlsafe_b64encode(secret).decode()[:24] not in text
