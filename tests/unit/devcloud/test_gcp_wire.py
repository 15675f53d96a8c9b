"""The stand-in's own copy of Google's messages, held against the real SDK's."""

from __future__ import annotations

from typing import Any

import pytest
from google.cloud import kms_v1
from google.protobuf.descriptor import FieldDescriptor

from devcloud.gcp import wire

MESSAGES = [
    "EncryptRequest",
    "EncryptResponse",
    "DecryptRequest",
    "DecryptResponse",
    "GetCryptoKeyRequest",
    "GetCryptoKeyVersionRequest",
    "CryptoKey",
    "CryptoKeyVersion",
    "CryptoKeyVersionTemplate",
]


def shape(field: Any) -> tuple[int, int, str]:
    # Enums travel as int32.
    kind = field.type if field.type != FieldDescriptor.TYPE_ENUM else FieldDescriptor.TYPE_INT32
    return field.number, kind, field.message_type.full_name if field.message_type else ""


@pytest.mark.parametrize("name", MESSAGES)
def test_every_field_has_the_number_and_type_of_the_real_one(name: str) -> None:
    kind: Any = getattr(kms_v1, name)
    real = kind.pb(kind()).DESCRIPTOR
    ours = wire.Messages().of(name).DESCRIPTOR
    assert ours.full_name == real.full_name
    for field in ours.fields:
        assert shape(field) == shape(real.fields_by_name[field.name]), field.name


def test_enumerations_have_the_numbers_of_the_real_ones() -> None:
    version, key = kms_v1.CryptoKeyVersion, kms_v1.CryptoKey
    for name, number in wire.STATES.items():
        assert getattr(version.CryptoKeyVersionState, name) == number
    for name, number in wire.PURPOSES.items():
        assert getattr(key.CryptoKeyPurpose, name) == number
    assert version.CryptoKeyVersionAlgorithm(wire.ALGORITHMS["MAC"]).name == "HMAC_SHA256"
    assert (
        version.CryptoKeyVersionAlgorithm(wire.ALGORITHMS["ASYMMETRIC_SIGN"]).name
        == "EC_SIGN_P256_SHA256"
    )
