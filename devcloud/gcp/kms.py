"""The four operations of Cloud KMS, without their transport.

Source: the comments of google/cloud/kms/v1/service.proto; refusals as the service words them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import google_crc32c
import grpc

from devcloud.ciphertexts import CiphertextError, Layout
from devcloud.gcp import wire
from devcloud.gcp.errors import KMS, GoogleError, Violation, permission_denied
from devcloud.gcp.model import (
    GET_KEY,
    GET_VERSION,
    USE_TO_DECRYPT,
    USE_TO_ENCRYPT,
    Purpose,
    VersionState,
)
from devcloud.gcp.names import is_key, split_version

if TYPE_CHECKING:
    from devcloud.gcp.cloud import Cloud
    from devcloud.gcp.model import Caller, Key, Version

LIMIT_BYTES = 65_536
"""Plaintext and additional data each, for a SOFTWARE key."""
_AAD = "additional_authenticated_data"
_VERSION_BYTES = 4
_CIPHERTEXTS = Layout(b"GCK1", generation_bytes=_VERSION_BYTES)


class Kms:
    """Answers requests of callers who are known already. Every method raises GoogleError."""

    def __init__(self, cloud: Cloud, messages: wire.Messages) -> None:
        self._cloud = cloud
        self._messages = messages

    def encrypt(self, caller: Caller, request: Any) -> Any:
        """Encrypt with the primary version, or with the version the name says."""
        pinned = split_version(request.name)
        name = request.name if pinned is None else pinned[0]
        key = self._permitted(caller, USE_TO_ENCRYPT, name)
        checked = _checked(request, "plaintext"), _checked(request, _AAD)
        _within_limits(request, "plaintext", _AAD)
        _require_symmetric(key)
        version = _wanted_version(key, key.primary if pinned is None else pinned[1])
        _require_enabled(key, version)
        sealed = _CIPHERTEXTS.seal(
            request.plaintext,
            key_id=key.key_id,
            generation=version.number.to_bytes(_VERSION_BYTES, "big"),
            secret=version.secret,
            aad=request.additional_authenticated_data,
        )
        answer = self._messages.of("EncryptResponse")(
            name=key.version_name(version.number),
            ciphertext=sealed,
            verified_plaintext_crc32c=checked[0],
            verified_additional_authenticated_data_crc32c=checked[1],
            protection_level=wire.SOFTWARE,
        )
        answer.ciphertext_crc32c.value = google_crc32c.value(sealed)
        return answer

    def decrypt(self, caller: Caller, request: Any) -> Any:
        """Decrypt with the version the ciphertext names; the request must name the key."""
        key = self._permitted(caller, USE_TO_DECRYPT, request.name)
        _checked(request, "ciphertext")
        _checked(request, _AAD)
        _within_limits(request, _AAD)
        _require_symmetric(key)
        try:
            parsed = _CIPHERTEXTS.parse(request.ciphertext)
        except CiphertextError as error:
            raise _invalid("Decryption failed: the ciphertext is invalid.") from error
        version = key.version(int.from_bytes(parsed.generation, "big"))
        if parsed.key_id != key.key_id or version is None:
            raise _invalid("Decryption failed: verify that 'name' refers to the correct CryptoKey.")
        _require_enabled(key, version)
        try:
            plaintext = parsed.open(
                secret=version.secret, aad=request.additional_authenticated_data
            )
        except CiphertextError as error:
            raise _invalid("Decryption failed: the ciphertext is invalid.") from error
        answer = self._messages.of("DecryptResponse")(
            plaintext=plaintext,
            used_primary=version.number == key.primary,
            protection_level=wire.SOFTWARE,
        )
        answer.plaintext_crc32c.value = google_crc32c.value(plaintext)
        return answer

    def get_crypto_key(self, caller: Caller, request: Any) -> Any:
        """A key with its primary version."""
        key = self._permitted(caller, GET_KEY, request.name)
        answer = self._messages.of("CryptoKey")(name=key.name, purpose=wire.PURPOSES[key.purpose])
        answer.create_time.FromSeconds(int(key.created_at))
        answer.version_template.protection_level = wire.SOFTWARE
        answer.version_template.algorithm = wire.ALGORITHMS[key.purpose]
        primary = None if key.primary is None else key.version(key.primary)
        if primary is not None:
            answer.primary.CopyFrom(self._shown(key, primary))
        return answer

    def get_crypto_key_version(self, caller: Caller, request: Any) -> Any:
        """One version and its state."""
        parts = split_version(request.name)
        if parts is None:
            raise _wrong_name(request.name)
        key = self._permitted(caller, GET_VERSION, parts[0])
        version = key.version(parts[1])
        if version is None:
            raise _not_found("CryptoKeyVersion", request.name)
        return self._shown(key, version)

    def _shown(self, key: Key, version: Version) -> Any:
        shown = self._messages.of("CryptoKeyVersion")(
            name=key.version_name(version.number),
            state=wire.STATES[version.state],
            protection_level=wire.SOFTWARE,
            algorithm=wire.ALGORITHMS[key.purpose],
        )
        shown.create_time.FromSeconds(int(version.created_at))
        return shown

    def _permitted(self, caller: Caller, permission: str, name: str) -> Key:
        """The key, after the policy was asked: who may not, does not learn whether it exists."""
        if not is_key(name):
            raise _wrong_name(name)
        if not self._cloud.permits(caller.email, permission, name):
            raise permission_denied(permission, name, domain=KMS)
        key = self._cloud.key(name)
        if key is None:
            raise _not_found("CryptoKey", name)
        return key


def _checked(request: Any, field: str) -> bool:
    """Whether a checksum came with a field. Raises GoogleError when it does not fit."""
    name = f"{field}_crc32c"
    if not request.HasField(name):
        return False
    if getattr(request, name).value != google_crc32c.value(getattr(request, field)):
        raise _invalid(f"The checksum in field {name} did not match the data in field {field}.")
    return True


def _within_limits(request: Any, *fields: str) -> None:
    for field in fields:
        size = len(getattr(request, field))
        if size > LIMIT_BYTES:
            raise _invalid(f"{field} must be no larger than {LIMIT_BYTES} bytes; was {size} bytes.")


def _require_symmetric(key: Key) -> None:
    if key.purpose is not Purpose.ENCRYPT_DECRYPT:
        raise GoogleError(
            grpc.StatusCode.FAILED_PRECONDITION,
            f"The request cannot be fulfilled. Resource {key.name} has value {key.purpose} in "
            "field crypto_key.purpose.",
        )


def _wanted_version(key: Key, number: int | None) -> Version:
    if number is None:
        raise GoogleError(
            grpc.StatusCode.FAILED_PRECONDITION,
            f"{key.name} does not have a primary CryptoKeyVersion.",
        )
    version = key.version(number)
    if version is None:
        raise _not_found("CryptoKeyVersion", key.version_name(number))
    return version


def _require_enabled(key: Key, version: Version) -> None:
    if version.state is not VersionState.ENABLED:
        name = key.version_name(version.number)
        raise GoogleError(
            grpc.StatusCode.FAILED_PRECONDITION,
            f"{name} is not enabled, current state is: {version.state}.",
            Violation(f"KEY_{version.state}", name),
        )


def _wrong_name(name: str) -> GoogleError:
    return _invalid(f"{name} is not a valid resource type for this request.")


def _not_found(kind: str, name: str) -> GoogleError:
    return GoogleError(grpc.StatusCode.NOT_FOUND, f"{kind} {name} not found.")


def _invalid(message: str) -> GoogleError:
    return GoogleError(grpc.StatusCode.INVALID_ARGUMENT, message)
