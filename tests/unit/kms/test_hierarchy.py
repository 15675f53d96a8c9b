"""Wrapped data keys and check values: what must not open, and what must open for ever."""

from __future__ import annotations

import hmac
import json
import pickle
import struct
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from services.common import aad, envelope
from services.common.envelope import CannotOpenError
from services.common.sensitive import SecretBytes
from services.kms.keys import hierarchy
from services.kms.keys.hierarchy import OpenMasterKey
from services.kms.model import KeyFacts, WrapError, Wrapped
from services.kms.providers.platform import PlatformKey
from tests.fakes.kms_keys import CountingMeter

VECTORS = Path(__file__).resolve().parents[2] / "vectors"
TENANT = UUID("11111111-1111-4111-8111-111111111111")
MASTER = bytes(range(32))
DATA_KEY = bytes(range(100, 132))


def vectors(name: str) -> list[dict[str, Any]]:
    read: list[dict[str, Any]] = json.loads((VECTORS / name).read_text(encoding="utf-8"))
    return read


def hkdf(key: bytes, info: bytes) -> bytes:
    """RFC 5869 by hand, 32 bytes, no salt: what the product's library has to agree with."""
    extracted = hmac.digest(bytes(32), key, "sha256")
    return hmac.digest(extracted, info + b"\x01", "sha256")


def canonical(purpose: str, *facts: bytes) -> bytes:
    parts = [purpose.encode(), *facts]
    return b"CAAD\x01" + b"".join(struct.pack(">I", len(part)) + part for part in parts)


def wrapped_by(key: OpenMasterKey, key_id: UUID, data_key: bytes = DATA_KEY) -> bytes:
    return key.wrap([(key_id.bytes, data_key)])[0]


def test_the_wrapped_form_has_the_documented_layout() -> None:
    wrapped = wrapped_by(OpenMasterKey(MASTER, TENANT, 0x01020304), uuid4())
    assert len(wrapped) == envelope.WRAPPED_DATA_KEY_BYTES == 68
    assert wrapped[:8] == b"KCT1\x01\x02\x03\x04"
    assert hierarchy.version_of(wrapped) == 0x01020304


@pytest.mark.parametrize("vector", vectors("kct-1.json"), ids=lambda v: str(v["version"]))
def test_golden_wrapped_data_keys_open(vector: dict[str, Any]) -> None:
    tenant, key_id = UUID(vector["tenant_id"]), UUID(vector["data_key_id"])
    master, wrapped = bytes.fromhex(vector["master_key"]), bytes.fromhex(vector["wrapped"])
    key = OpenMasterKey(master, tenant, vector["version"])
    assert key.unwrap(key_id.bytes, wrapped).hex() == vector["data_key"]
    # And without any code of the product:
    derived = hkdf(master, canonical("coffer/data-key-wrapping-key", tenant.bytes, key_id.bytes))
    facts = canonical("coffer/data-key", wrapped[:8], tenant.bytes, key_id.bytes)
    assert AESGCM(derived).decrypt(wrapped[8:20], wrapped[20:], facts).hex() == vector["data_key"]


@pytest.mark.parametrize(
    "vector", vectors("check-value-1.json"), ids=lambda v: v["check_value"][:8]
)
def test_golden_check_values_hold(vector: dict[str, Any]) -> None:
    tenant, key_id = UUID(vector["tenant_id"]), UUID(vector["key_id"])
    master, expected = bytes.fromhex(vector["master_key"]), bytes.fromhex(vector["check_value"])
    assert hierarchy.is_this_key(master, tenant, key_id, expected)
    facts = (tenant.bytes, key_id.bytes)
    derived = hkdf(master, canonical("coffer/check-value-key", *facts))
    assert hmac.digest(derived, canonical("coffer/check-value", *facts), "sha256") == expected


@pytest.mark.parametrize("vector", vectors("kcf-1.json"), ids=lambda v: v["name"])
def test_golden_sealed_fields_open(vector: dict[str, Any]) -> None:
    facts = envelope.FieldFacts(
        UUID(vector["tenant_id"]),
        UUID(vector["secret_id"]),
        UUID(vector["environment_id"]),
        vector["value_version"],
        UUID(vector["data_key_id"]),
    )
    opened = envelope.open_(
        bytes.fromhex(vector["data_key"]), facts, vector["name"], bytes.fromhex(vector["sealed"])
    )
    assert opened.hex() == vector["plaintext"]


@pytest.mark.parametrize("vector", vectors("kcg-1.json"), ids=["kcg-1"])
async def test_golden_master_keys_under_the_platform_key_open(vector: dict[str, Any]) -> None:
    key = PlatformKey(SecretBytes(bytes.fromhex(vector["platform_key"])), CountingMeter())
    facts = KeyFacts(UUID(vector["tenant_id"]), UUID(vector["key_id"]))
    opened = await key.unwrap(facts, Wrapped(bytes.fromhex(vector["wrapped"])))
    assert opened.hex() == vector["master_key"]


def test_golden_authenticated_data_is_made_as_ever() -> None:
    for vector in vectors("aad-1.json"):
        if "purpose" in vector:
            facts = [bytes.fromhex(fact) for fact in vector["facts"]]
            assert aad.encode(vector["purpose"], *facts).hex() == vector["encoded"]
            assert canonical(vector["purpose"], *facts).hex() == vector["encoded"]


@given(st.integers(0, 67), st.integers(1, 255))
def test_one_changed_byte_anywhere_and_it_does_not_open(place: int, change: int) -> None:
    key, key_id = OpenMasterKey(MASTER, TENANT, 1), UUID(int=5)
    wrapped = bytearray(wrapped_by(key, key_id))
    wrapped[place] ^= change
    with pytest.raises(CannotOpenError):
        key.unwrap(key_id.bytes, bytes(wrapped))


def test_another_tenants_versions_or_ids_key_does_not_open() -> None:
    key_id = uuid4()
    wrapped = wrapped_by(OpenMasterKey(MASTER, TENANT, 1), key_id)
    for key, wanted in (
        (OpenMasterKey(MASTER, uuid4(), 1), key_id),
        (OpenMasterKey(MASTER, TENANT, 2), key_id),
        (OpenMasterKey(MASTER, TENANT, 1), uuid4()),
        (OpenMasterKey(bytes(32), TENANT, 1), key_id),
    ):
        with pytest.raises(CannotOpenError):
            key.unwrap(wanted.bytes, wrapped)


def test_a_header_rewritten_to_another_version_does_not_open_under_that_one() -> None:
    key_id = uuid4()
    wrapped = wrapped_by(OpenMasterKey(MASTER, TENANT, 1), key_id)
    moved = hierarchy.header(2) + wrapped[8:]
    with pytest.raises(CannotOpenError):
        OpenMasterKey(MASTER, TENANT, 2).unwrap(key_id.bytes, moved)


@given(st.binary(max_size=80))
def test_any_bytes_are_refused_politely(junk: bytes) -> None:
    with pytest.raises(CannotOpenError):
        OpenMasterKey(MASTER, TENANT, 1).unwrap(uuid4().bytes, junk)
    hierarchy.version_of(junk)


def test_the_same_data_key_is_never_wrapped_the_same_twice() -> None:
    key, key_id = OpenMasterKey(MASTER, TENANT, 1), uuid4()
    assert len({wrapped_by(key, key_id) for _ in range(50)}) == 50


def test_a_check_value_tells_keys_tenants_and_ids_apart() -> None:
    key_id = uuid4()
    value = hierarchy.check_value(MASTER, TENANT, key_id)
    assert len(value) == hierarchy.CHECK_VALUE_BYTES
    assert hierarchy.is_this_key(MASTER, TENANT, key_id, value)
    assert not hierarchy.is_this_key(bytes(32), TENANT, key_id, value)
    assert not hierarchy.is_this_key(MASTER, uuid4(), key_id, value)
    assert not hierarchy.is_this_key(MASTER, TENANT, uuid4(), value)
    assert not hierarchy.is_this_key(MASTER[:16], TENANT, key_id, value)


def test_key_bytes_are_in_no_repr_and_no_pickle() -> None:
    key = OpenMasterKey(MASTER, TENANT, 1)
    extracted = hmac.digest(bytes(32), MASTER, sha256)
    for secret in (MASTER, extracted):
        assert secret.hex() not in repr(key)
        assert repr(secret) not in repr(key)
    with pytest.raises(TypeError):
        pickle.dumps(key)


@pytest.mark.parametrize(("key", "version"), [(b"short", 1), (MASTER, 0), (MASTER, 2**32)])
def test_nonsense_is_not_a_master_key(key: bytes, version: int) -> None:
    with pytest.raises(ValueError, match="master key"):
        OpenMasterKey(key, TENANT, version)


async def test_the_platform_key_opens_only_its_own() -> None:
    one = PlatformKey(SecretBytes(MASTER), CountingMeter())
    other = PlatformKey(SecretBytes(bytes(32)), CountingMeter())
    wrapped = await one.wrap(KeyFacts(TENANT, uuid4()), DATA_KEY)
    with pytest.raises(WrapError):
        await other.unwrap(KeyFacts(TENANT, uuid4()), wrapped)
