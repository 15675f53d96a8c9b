"""What a key does: its public part, wrapKey and unwrapKey, with the states that stop each.

Source: Key Vault REST reference, "About keys" (a key outside its nbf/exp window still unwraps),
and RFC 7518 for the algorithms. The inner codes KeyExpired and KeyNotYetValid are documented
nowhere; only status 403 and code Forbidden are sure.
"""

from __future__ import annotations

import base64
import binascii
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from devcloud.azure.errors import FORBIDDEN, VaultError, bad_parameter, key_not_found
from devcloud.azure.model import Key, KeyLife, KeyVersion

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography.hazmat.primitives.asymmetric.padding import AsymmetricPadding

_BASE64URL = re.compile(r"[A-Za-z0-9_-]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Selected:
    """A key with the version that a request means."""

    key: Key
    version: KeyVersion


def select(key: Key | None, path: str, version_id: str | None) -> Selected:
    """The version a request names, or the current one. Raises VaultError KeyNotFound."""
    if key is None or key.life is not KeyLife.LIVE:
        raise key_not_found(path)
    if version_id is None:
        return Selected(key, key.versions[-1])
    for version in key.versions:
        if version.id == version_id:
            return Selected(key, version)
    raise key_not_found(path)


def shown(selected: Selected) -> dict[str, Any]:
    """The answer to GET. A disabled or expired key is shown all the same."""
    key, version = selected.key, selected.version
    numbers = version.private.public_key().public_numbers()
    jwk: dict[str, Any] = {
        "kid": key.kid(version),
        "kty": key.kty,
        "key_ops": list(key.key_ops),
    }
    if isinstance(version.private, RSAPrivateKey):
        public = version.private.public_key().public_numbers()
        jwk |= {"n": _number(public.n, version.private.key_size // 8), "e": _number(public.e, 3)}
    else:
        size = (version.private.key_size + 7) // 8
        point = {name: _number(getattr(numbers, name), size) for name in ("x", "y")}
        jwk |= {"crv": "P-256", **point}
    return {"key": jwk, "attributes": _attributes(version)}


def wrap(selected: Selected, body: Mapping[str, Any]) -> dict[str, Any]:
    """Encrypt `value`. Raises VaultError."""
    private = _usable(selected, "wrapKey", body)
    version = selected.version
    now = time.time()
    if version.not_before is not None and now < version.not_before:
        raise _forbidden(
            "Operation wrapKey is not allowed on a key that is not yet valid.", "KeyNotYetValid"
        )
    if version.expires is not None and now >= version.expires:
        raise _forbidden("Operation wrapKey is not allowed on an expired key.", "KeyExpired")
    value = _value(body)
    try:
        wrapped = private.public_key().encrypt(value, _padding(selected, body))
    except ValueError as error:
        raise bad_parameter("The parameter is incorrect.\r\n") from error
    return {"kid": selected.key.kid(version), "value": encoded(wrapped)}


def unwrap(selected: Selected, body: Mapping[str, Any]) -> dict[str, Any]:
    """Decrypt `value`. Raises VaultError; BadParameter where this version did not wrap it."""
    private = _usable(selected, "unwrapKey", body)
    value = _value(body)
    try:
        plain = private.decrypt(value, _padding(selected, body))
    except ValueError as error:
        raise bad_parameter("The parameter is incorrect.\r\n") from error
    return {"kid": selected.key.kid(selected.version), "value": encoded(plain)}


def encoded(raw: bytes) -> str:
    """Base64url without padding, as JSON Web Keys have it."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    """The inverse of `encoded`. Raises ValueError, for padding too."""
    if not _BASE64URL.fullmatch(text):
        raise ValueError("not base64url")
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error as error:
        raise ValueError("not base64url") from error


def _usable(selected: Selected, operation: str, body: Mapping[str, Any]) -> RSAPrivateKey:
    key, version = selected.key, selected.version
    if not version.enabled:
        message = f"Operation {operation} is not allowed on a disabled key."
        raise _forbidden(message, "KeyDisabled")
    if operation not in key.key_ops:
        message = f"Operation {operation} is not permitted on this key."
        raise _forbidden(message, "KeyOperationForbidden")
    if not isinstance(version.private, RSAPrivateKey):
        raise bad_parameter(
            f"Key and signing/encryption algorithm are incompatible. Key {key.kid(version)} is of "
            f"type '{key.kty}', and algorithm '{body.get('alg')}' can only be used with a key of "
            "type 'RSA' or 'RSA-HSM'."
        )
    return version.private


def _padding(selected: Selected, body: Mapping[str, Any]) -> AsymmetricPadding:
    match body.get("alg"):
        case "RSA-OAEP-256":
            digest: hashes.HashAlgorithm = hashes.SHA256()
        case "RSA-OAEP":
            digest = hashes.SHA1()  # noqa: S303 - what RFC 7518 says
        case "RSA1_5":
            return padding.PKCS1v15()
        case other:
            raise bad_parameter(
                f"Algorithm {other} is not supported by key {selected.key.kid(selected.version)}."
            )
    return padding.OAEP(padding.MGF1(digest), digest, None)


def _value(body: Mapping[str, Any]) -> bytes:
    value = body.get("value")
    if not isinstance(value, str) or not value:
        raise bad_parameter("Property  has invalid value\r\n")
    try:
        return decoded(value)
    except ValueError as error:
        raise bad_parameter("Property  has invalid value\r\n") from error


def _attributes(version: KeyVersion) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        "enabled": version.enabled,
        "created": int(version.created_at),
        "updated": int(version.created_at),
        "recoveryLevel": "Recoverable+Purgeable",
        "recoverableDays": 90,
    }
    if version.not_before is not None:
        attributes["nbf"] = int(version.not_before)
    if version.expires is not None:
        attributes["exp"] = int(version.expires)
    return attributes


def _number(value: int, size: int) -> str:
    return encoded(value.to_bytes(size, "big"))


def _forbidden(message: str, inner: str) -> VaultError:
    return VaultError(FORBIDDEN, "Forbidden", message, inner)
