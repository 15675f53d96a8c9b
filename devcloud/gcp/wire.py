"""The messages of google.cloud.kms.v1 that the stand-in serves, as far as it serves them.

Written down here from the public proto (googleapis, google/cloud/kms/v1) instead of taken from the
SDK: the stand-in then starts without it, and is no echo of it. Fields that are not listed are
skipped when they come in, as protobuf does.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message_factory,
    timestamp_pb2,
    wrappers_pb2,
)

PACKAGE = "google.cloud.kms.v1"
SERVICE = f"{PACKAGE}.KeyManagementService"
SOFTWARE = 1
STATES = {"ENABLED": 1, "DISABLED": 2, "DESTROYED": 3, "DESTROY_SCHEDULED": 4}
PURPOSES = {"ENCRYPT_DECRYPT": 1, "ASYMMETRIC_SIGN": 5, "ASYMMETRIC_DECRYPT": 6, "MAC": 9}
ALGORITHMS = {
    "ENCRYPT_DECRYPT": 1,  # GOOGLE_SYMMETRIC_ENCRYPTION
    "ASYMMETRIC_SIGN": 12,  # EC_SIGN_P256_SHA256
    "ASYMMETRIC_DECRYPT": 8,  # RSA_DECRYPT_OAEP_2048_SHA256
    "MAC": 32,  # HMAC_SHA256
}

_INT64 = ".google.protobuf.Int64Value"
_TIME = ".google.protobuf.Timestamp"
_VERSION = f".{PACKAGE}.CryptoKeyVersion"
_TEMPLATE = f".{PACKAGE}.CryptoKeyVersionTemplate"
_CRC_AAD = "additional_authenticated_data_crc32c"
# message -> field -> (number, type); enums travel as int32, which is the same on the wire.
_MESSAGES: dict[str, dict[str, tuple[int, str]]] = {
    "EncryptRequest": {
        "name": (1, "string"),
        "plaintext": (2, "bytes"),
        "additional_authenticated_data": (3, "bytes"),
        "plaintext_crc32c": (7, _INT64),
        _CRC_AAD: (8, _INT64),
    },
    "EncryptResponse": {
        "name": (1, "string"),
        "ciphertext": (2, "bytes"),
        "ciphertext_crc32c": (4, _INT64),
        "verified_plaintext_crc32c": (5, "bool"),
        f"verified_{_CRC_AAD}": (6, "bool"),
        "protection_level": (7, "int32"),
    },
    "DecryptRequest": {
        "name": (1, "string"),
        "ciphertext": (2, "bytes"),
        "additional_authenticated_data": (3, "bytes"),
        "ciphertext_crc32c": (5, _INT64),
        _CRC_AAD: (6, _INT64),
    },
    "DecryptResponse": {
        "plaintext": (1, "bytes"),
        "plaintext_crc32c": (2, _INT64),
        "used_primary": (3, "bool"),
        "protection_level": (4, "int32"),
    },
    "GetCryptoKeyRequest": {"name": (1, "string")},
    "GetCryptoKeyVersionRequest": {"name": (1, "string")},
    "CryptoKeyVersionTemplate": {"protection_level": (1, "int32"), "algorithm": (3, "int32")},
    "CryptoKeyVersion": {
        "name": (1, "string"),
        "state": (3, "int32"),
        "create_time": (4, _TIME),
        "protection_level": (7, "int32"),
        "algorithm": (10, "int32"),
    },
    "CryptoKey": {
        "name": (1, "string"),
        "primary": (2, _VERSION),
        "purpose": (3, "int32"),
        "create_time": (5, _TIME),
        "version_template": (11, _TEMPLATE),
    },
}
_Field = descriptor_pb2.FieldDescriptorProto
_TYPES = {
    "string": _Field.TYPE_STRING,
    "bytes": _Field.TYPE_BYTES,
    "bool": _Field.TYPE_BOOL,
    "int32": _Field.TYPE_INT32,
}


class Messages:
    """The message classes, in a pool of their own so that the real SDK may be loaded beside."""

    def __init__(self) -> None:
        self._pool = descriptor_pool.DescriptorPool()
        for module in (wrappers_pb2, timestamp_pb2):
            self._pool.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
        self._pool.Add(_file())

    def of(self, name: str) -> Any:
        """The class of a message of the package, `EncryptRequest`."""
        descriptor = self._pool.FindMessageTypeByName(f"{PACKAGE}.{name}")
        return message_factory.GetMessageClass(descriptor)


def _file() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(
        name="devcloud/gcp/kms.proto",
        package=PACKAGE,
        syntax="proto3",
        dependency=["google/protobuf/wrappers.proto", "google/protobuf/timestamp.proto"],
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            one = message.field.add(name=field, number=number, label=_Field.LABEL_OPTIONAL)
            if kind in _TYPES:
                one.type = _TYPES[kind]
            else:
                one.type = _Field.TYPE_MESSAGE
                one.type_name = kind
    return file
