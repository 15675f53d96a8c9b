"""A batch rewrapped at once: it does exactly what opening and wrapping each key by itself does."""

from __future__ import annotations

import json
import os
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.common.envelope import CannotOpenError
from services.kms.keys import hierarchy
from services.kms.keys.hierarchy import OpenMasterKey

VECTORS = Path(__file__).resolve().parents[2] / "vectors" / "kct-1.json"
TENANT = UUID("11111111-1111-4111-8111-111111111111")


def _key(version: int, tenant: UUID = TENANT) -> OpenMasterKey:
    return OpenMasterKey(os.urandom(32), tenant, version)


def _records(key: OpenMasterKey, count: int) -> tuple[list[tuple[bytes, bytes]], bytes]:
    pairs = [(uuid4().bytes, os.urandom(32)) for _ in range(count)]
    wraps = key.wrap(pairs)
    packed = b"".join(key_id + form for (key_id, _), form in zip(pairs, wraps, strict=True))
    return pairs, packed


def test_golden_wrapped_data_keys_move_and_keep_their_value() -> None:
    for vector in json.loads(VECTORS.read_text(encoding="utf-8")):
        tenant, key_id = UUID(vector["tenant_id"]), UUID(vector["data_key_id"])
        old = OpenMasterKey(bytes.fromhex(vector["master_key"]), tenant, vector["version"])
        new = _key(77, tenant)
        packed = key_id.bytes + bytes.fromhex(vector["wrapped"])
        wrapped, missed = hierarchy.rewrap(new, [old], packed)
        assert not missed
        assert new.unwrap(key_id.bytes, wrapped).hex() == vector["data_key"]


def test_keys_of_several_versions_move_each_with_a_nonce_of_its_own() -> None:
    first, second, target = _key(1), _key(2), _key(3)
    pairs, packed = _records(first, 3)
    more, others = _records(second, 2)
    wrapped, missed = hierarchy.rewrap(target, [first, second, target], packed + others)
    forms = [wrapped[at : at + 68] for at in range(0, len(wrapped), 68)]
    assert not missed
    assert len({form[8:20] for form in forms}) == 5
    for (key_id, data_key), form in zip(pairs + more, forms, strict=True):
        assert form[:8] == target.header
        assert target.unwrap(key_id, form) == data_key
    assert hierarchy.versions_in(packed + others) == {1, 2}


@pytest.mark.parametrize("at", [0, 15, 16, 19, 23, 24, 35, 36, 83])
def test_a_record_damaged_anywhere_is_missed_and_harms_no_other(at: int) -> None:
    old, target = _key(1), _key(2)
    pairs, packed = _records(old, 3)
    damaged = bytearray(packed)
    damaged[84 + at] ^= 1
    wrapped, missed = hierarchy.rewrap(target, [old], bytes(damaged))
    assert missed == [1]
    assert wrapped[68:136] == bytes(68)
    assert target.unwrap(pairs[0][0], wrapped[:68]) == pairs[0][1]
    assert target.unwrap(pairs[2][0], wrapped[136:]) == pairs[2][1]


def test_what_another_tenant_or_master_key_wrapped_does_not_move() -> None:
    target = _key(2)
    for stranger in (_key(1), _key(1, uuid4())):
        _, packed = _records(stranger, 1)
        assert hierarchy.rewrap(target, [_key(1)], packed) == (bytes(68), [0])


def test_a_wrap_that_does_not_open_to_the_same_key_is_never_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old, target = _key(1), _key(2)
    _, packed = _records(old, 1)
    genuine = AESGCM

    class Failing:
        """A cipher that opens its own wraps to something else."""

        def __init__(self, key: bytes) -> None:
            self._cipher, self._encrypted = genuine(key), False

        def encrypt(self, nonce: bytes, data: bytes, facts: bytes) -> bytes:
            self._encrypted = True
            return self._cipher.encrypt(nonce, data, facts)

        def decrypt(self, nonce: bytes, data: bytes, facts: bytes) -> bytes:
            opened = self._cipher.decrypt(nonce, data, facts)
            return bytes(32) if self._encrypted else opened

    monkeypatch.setattr(hierarchy, "AESGCM", Failing)
    with pytest.raises(CannotOpenError):
        hierarchy.rewrap(target, [old], packed)


def test_bytes_that_name_no_version_are_none() -> None:
    _, packed = _records(_key(5), 1)
    nothing = packed[:20] + bytes(4) + packed[24:]
    other = packed[:16] + b"XXXX" + packed[20:]
    assert hierarchy.versions_in(packed + nothing + other) == {5}
