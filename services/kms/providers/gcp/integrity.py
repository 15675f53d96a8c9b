"""Requests and answers of Cloud KMS with everything that ties them together: context, checksums, names.

Additional authenticated data, format 1: `aad.encode("coffer/master-key-context", b"KGA1", tenant, key id)`.
Golden vectors are in tests/vectors/kga-1.json. Checksums are CRC32C (RFC 3720, appendix B.4) of what was sent
and received, as Google's guide "Verifying end-to-end data integrity" asks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import google_crc32c
from google.cloud.kms_v1.types import DecryptRequest, EncryptRequest

from services.common import aad
from services.kms.model import Wrapped
from services.kms.providers.gcp.names import is_version_of

if TYPE_CHECKING:
    from google.cloud.kms_v1.types import DecryptResponse, EncryptResponse

    from services.kms.model import KeyFacts

_FORMAT: Final = b"KGA1"
_MASTER_KEY_BYTES: Final = 32


class MismatchError(Exception):
    """The answer does not belong to the request, or one of them was damaged on its way."""


class NonsenseError(Exception):
    """What came back is no answer."""


def context(facts: KeyFacts) -> bytes:
    """What a wrapped master key is bound to at Google."""
    return aad.encode(
        "coffer/master-key-context", _FORMAT, facts.tenant_id.bytes, facts.key_id.bytes
    )


def encrypt_request(key: str, facts: KeyFacts, master_key: bytes) -> EncryptRequest:
    """Encrypt with the key's primary version."""
    bound_to = context(facts)
    return EncryptRequest(
        name=key,
        plaintext=master_key,
        additional_authenticated_data=bound_to,
        plaintext_crc32c=google_crc32c.value(master_key),
        additional_authenticated_data_crc32c=google_crc32c.value(bound_to),
    )


def decrypt_request(key: str, facts: KeyFacts, ciphertext: bytes) -> DecryptRequest:
    """Decrypt; Google finds the version in the ciphertext."""
    bound_to = context(facts)
    return DecryptRequest(
        name=key,
        ciphertext=ciphertext,
        additional_authenticated_data=bound_to,
        ciphertext_crc32c=google_crc32c.value(ciphertext),
        additional_authenticated_data_crc32c=google_crc32c.value(bound_to),
    )


def encrypted(answer: EncryptResponse | None, key: str) -> Wrapped:
    """What Encrypt made, and the version that did. Raises MismatchError, NonsenseError."""
    if answer is None or not answer.name or not answer.ciphertext:
        raise NonsenseError
    whole = (
        answer.verified_plaintext_crc32c
        and answer.verified_additional_authenticated_data_crc32c
        and answer.ciphertext_crc32c == google_crc32c.value(answer.ciphertext)
    )
    if not whole or not is_version_of(answer.name, key):
        raise MismatchError
    return Wrapped(bytes(answer.ciphertext), str(answer.name))


def decrypted(answer: DecryptResponse | None) -> bytes:
    """What Decrypt opened. Raises MismatchError, NonsenseError.

    Google tells a damaged ciphertext or context by an error, and has no field for it.
    """
    if answer is None or not answer.plaintext:
        raise NonsenseError
    plaintext = bytes(answer.plaintext)
    if answer.plaintext_crc32c != google_crc32c.value(plaintext):
        raise MismatchError
    if len(plaintext) != _MASTER_KEY_BYTES:
        raise MismatchError
    return plaintext
