"""KMS's cryptographic operations: Encrypt, Decrypt, GenerateDataKey."""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING, Any

from devcloud.aws import blob
from devcloud.aws.access import Access, KmsCall, authorize, require_enabled
from devcloud.aws.errors import AwsError, validation
from devcloud.aws.model import SYMMETRIC, Key, KeyUsage, Material
from devcloud.ciphertexts import CiphertextError

PLAINTEXT_LIMIT_BYTES = 4096
CIPHERTEXT_LIMIT_BYTES = 6144
_DATA_KEY_LIMIT_BYTES = 1024
_DATA_KEY_SPECS = {"AES_256": 32, "AES_128": 16}

if TYPE_CHECKING:
    from collections.abc import Callable

    from devcloud.ciphertexts import Ciphertext


class DataOperations:
    """The operations that need a key's material. Each returns the members of its answer."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def table(self) -> dict[str, Callable[[KmsCall], dict[str, Any]]]:
        """The operations by name."""
        return {
            "Encrypt": self.encrypt,
            "Decrypt": self.decrypt,
            "GenerateDataKey": self.generate_data_key,
        }

    def encrypt(self, call: KmsCall) -> dict[str, Any]:
        """Seal 1 to 4096 bytes under the newest material."""
        plaintext = call.params.blob("Plaintext", PLAINTEXT_LIMIT_BYTES)
        key = self._usable(call, self._access.named(call, call.params.text("KeyId")))
        return {
            "CiphertextBlob": _seal(call, key, plaintext),
            "KeyId": key.arn,
            "EncryptionAlgorithm": SYMMETRIC,
        }

    def decrypt(self, call: KmsCall) -> dict[str, Any]:
        """Open a blob with the material it names; KeyId, where given, must be the blob's key."""
        raw = call.params.blob("CiphertextBlob", CIPHERTEXT_LIMIT_BYTES)
        name = call.params.optional_text("KeyId")
        named = None if name is None else self._access.named(call, name)
        if named is not None:
            self._usable(call, named)
        parsed = _parse(raw)
        if named is not None and named.key_id != parsed.key_id:
            raise AwsError(
                "IncorrectKeyException",
                "The key ID in the request does not identify a CMK that can perform this operation.",
            )
        key = named or self._usable(call, self._access.of_blob(call, parsed))
        material = _material(key, parsed)
        try:
            plaintext = blob.open_blob(parsed, material=material, context=call.params.context())
        except CiphertextError as error:
            raise _invalid_ciphertext() from error
        return {
            "Plaintext": _b64(plaintext),
            "KeyId": key.arn,
            "EncryptionAlgorithm": SYMMETRIC,
            "KeyMaterialId": material.id,
        }

    def generate_data_key(self, call: KmsCall) -> dict[str, Any]:
        """Random bytes, in the clear and sealed."""
        size = _data_key_bytes(call)
        key = self._usable(call, self._access.named(call, call.params.text("KeyId")))
        plaintext = os.urandom(size)
        return {
            "CiphertextBlob": _seal(call, key, plaintext),
            "Plaintext": _b64(plaintext),
            "KeyId": key.arn,
            "KeyMaterialId": key.materials[-1].id,
        }

    def _usable(self, call: KmsCall, key: Key) -> Key:
        authorize(call, key)
        require_enabled(key)
        _require_symmetric(call, key)
        if call.params.flag("DryRun"):
            raise AwsError(
                "DryRunOperationException",
                "The request would have succeeded, but the DryRun option is set.",
            )
        return key


def _require_symmetric(call: KmsCall, key: Key) -> None:
    if key.usage is not KeyUsage.ENCRYPT_DECRYPT:
        raise AwsError(
            "InvalidKeyUsageException",
            f"{key.arn} key usage is {key.usage} which is not valid for {call.operation}.",
        )
    algorithm = call.params.optional_text("EncryptionAlgorithm") or SYMMETRIC
    if (algorithm == SYMMETRIC) != (key.spec == SYMMETRIC):
        raise AwsError(
            "InvalidKeyUsageException",
            f"Algorithm {algorithm} is incompatible with key spec {key.spec}.",
        )
    if key.spec != SYMMETRIC:
        raise AwsError("UnsupportedOperationException", "devcloud has no asymmetric encryption")


def _parse(raw: bytes) -> Ciphertext:
    try:
        return blob.parse(raw)
    except CiphertextError as error:
        raise _invalid_ciphertext() from error


def _material(key: Key, parsed: Ciphertext) -> Material:
    for material in key.materials:
        if material.id == blob.material_id(parsed):
            return material
    raise _invalid_ciphertext()


def _invalid_ciphertext() -> AwsError:
    # AWS says no more than the code: why a ciphertext does not open is not the caller's business.
    return AwsError("InvalidCiphertextException", "")


def _seal(call: KmsCall, key: Key, plaintext: bytes) -> str:
    sealed = blob.seal(
        plaintext, key_id=key.key_id, material=key.materials[-1], context=call.params.context()
    )
    return _b64(sealed)


def _data_key_bytes(call: KmsCall) -> int:
    spec = call.params.optional_text("KeySpec")
    number = call.params.optional_number("NumberOfBytes")
    if (spec is None) == (number is None):
        raise validation("Please specify either number of bytes or key spec.")
    if number is not None:
        if not 1 <= number <= _DATA_KEY_LIMIT_BYTES:
            raise validation(f"numberOfBytes must be 1 to {_DATA_KEY_LIMIT_BYTES}")
        return number
    if spec not in _DATA_KEY_SPECS:
        raise validation(f"keySpec must be one of {sorted(_DATA_KEY_SPECS)}")
    return _DATA_KEY_SPECS[spec]


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
