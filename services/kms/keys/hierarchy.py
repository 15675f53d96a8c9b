"""What a master key does: wraps data keys, and proves that it is itself. Pure computation.

The 32 bytes of a master key enter HKDF-SHA-256 (RFC 5869, no salt) and nothing else. From it come

- for each data key a wrapping key of its own, info `aad.data_key_derivation`: so no key ever meets more
  than a handful of nonces, and the 2^32 limit of random nonces (NIST SP 800-38D, 8.3) never comes near;
- one key for the check value, an HMAC-SHA-256 (RFC 2104) over tenant and key id: verified after each unwrap,
  it tells that what a KMS gave back is this very key, also for a KMS that authenticates nothing.

Wrapped data key, 68 bytes: `KCT1`, key version (4, big-endian), nonce (12), ciphertext (32), tag (16).
The first 8 bytes are in the AAD, with tenant and data-key id.
"""

from __future__ import annotations

import hmac
import os
import struct
from typing import TYPE_CHECKING, Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

from services.common import aad
from services.common.envelope import (
    DATA_KEY_BYTES,
    NONCE_BYTES,
    WRAPPED_DATA_KEY_BYTES,
    CannotOpenError,
)
from services.common.sensitive import SecretBytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MASTER_KEY_BYTES: Final = 32
CHECK_VALUE_BYTES: Final = 32
MAX_VERSION: Final = 2**32 - 1

_MAGIC: Final = b"KCT1"
_HEADER_BYTES: Final = 8
_CIPHERTEXT_AT: Final = _HEADER_BYTES + NONCE_BYTES
_FIRST_BLOCK: Final = b"\x01"
"""HKDF-Expand of one block is one HMAC over the info and this counter (RFC 5869, 2.3)."""
_RECORD: Final = struct.Struct(f"16s{_HEADER_BYTES}s{NONCE_BYTES}s48s")
"""Data-key id, header, nonce, ciphertext with tag."""
_HEADERS: Final = struct.Struct(f"16x{_HEADER_BYTES}s60x")
_NONCE: Final = struct.Struct(f"{NONCE_BYTES}s")
_NOTHING: Final = bytes(WRAPPED_DATA_KEY_BYTES)
_NO_ID: Final = UUID(int=0)
_SHA256: Final = hashes.SHA256()


def new_master_key() -> bytes:
    """32 random bytes of the operating system."""
    return os.urandom(MASTER_KEY_BYTES)


def header(version: int) -> bytes:
    """The first 8 bytes of what is wrapped under `version`."""
    return _MAGIC + struct.pack(">I", version)


def version_of(wrapped: bytes) -> int | None:
    """The key version that a wrapped data key names, None for bytes that are none."""
    if len(wrapped) != WRAPPED_DATA_KEY_BYTES or not wrapped.startswith(_MAGIC):
        return None
    version: int = struct.unpack_from(">I", wrapped, len(_MAGIC))[0]
    return version or None


def versions_in(packed: bytes) -> set[int]:
    """The key versions that records of 84 bytes (data-key id, wrapped) name, as `version_of`."""
    return {
        version
        for (found,) in set(_HEADERS.iter_unpack(packed))
        if found.startswith(_MAGIC) and (version := struct.unpack_from(">I", found, len(_MAGIC))[0])
    }


def rewrap(
    target: OpenMasterKey, sources: Iterable[OpenMasterKey], packed: bytes | memoryview
) -> tuple[bytes, list[int]]:
    """Records of 84 bytes (data-key id, wrapped) wrapped anew, each new wrap opened and compared.

    Returns wraps of 68 bytes in order, and the places, in order, of those that none of `sources` opens: there
    are zeros. The keys must be of one tenant. As `OpenMasterKey.unwrap` and `wrap`, in half the time:
    nothing that is the same for all of them is done again for each, and a wrapping key is derived once.
    """
    opened = {key.header: (key.derivation(), key.wrap_aad) for key in sources}
    header, derivation, wrap_aad = target.header, target.derivation(), target.wrap_aad
    nonces = os.urandom(len(packed) // _RECORD.size * NONCE_BYTES)
    wrapped: list[bytes] = []
    missed: list[int] = []
    for index, ((key_id, found, nonce, sealed), (fresh,)) in enumerate(
        zip(_RECORD.iter_unpack(packed), _NONCE.iter_unpack(nonces), strict=True)
    ):
        last = key_id + _FIRST_BLOCK
        try:
            mac, facts = opened[found]
            mac = mac.copy()
            mac.update(last)
            data_key = AESGCM(mac.finalize()).decrypt(nonce, sealed, facts + key_id)
        except (KeyError, InvalidTag):
            missed.append(index)
            wrapped.append(_NOTHING)
            continue
        mac = derivation.copy()
        mac.update(last)
        cipher = AESGCM(mac.finalize())
        facts = wrap_aad + key_id
        form = cipher.encrypt(fresh, data_key, facts)
        if cipher.decrypt(fresh, form, facts) != data_key:
            raise CannotOpenError
        wrapped += (header, fresh, form)
    return b"".join(wrapped), missed


def check_value(master_key: bytes, tenant_id: UUID, key_id: UUID) -> bytes:
    """The 32 bytes that are stored beside a wrapped master key."""
    facts = (tenant_id.bytes, key_id.bytes)
    info = aad.encode("coffer/check-value-key", *facts)
    key = HKDF(_SHA256, 32, None, info).derive(master_key)
    return hmac.digest(key, aad.encode("coffer/check-value", *facts), "sha256")


def is_this_key(master_key: bytes, tenant_id: UUID, key_id: UUID, expected: bytes) -> bool:
    """Whether `master_key` is the one whose check value was stored. Takes constant time."""
    if len(master_key) != MASTER_KEY_BYTES:
        return False
    return hmac.compare_digest(check_value(master_key, tenant_id, key_id), expected)


class OpenMasterKey:
    """One master key in memory, able to wrap and unwrap data keys of its tenant under its version.

    Holds HKDF's extracted key and not the master key. Its buffer is overwritten when it is forgotten;
    Python makes copies while it computes, which no promise covers.
    """

    __slots__ = ("_info", "_pseudorandom", "header", "tenant_id", "version", "wrap_aad")

    def __init__(self, master_key: bytes, tenant_id: UUID, version: int) -> None:
        """Raises ValueError for a key that is not 32 bytes or a version out of range."""
        if len(master_key) != MASTER_KEY_BYTES or not 1 <= version <= MAX_VERSION:
            raise ValueError("a master key has 32 bytes and a version from 1")
        self.tenant_id = tenant_id
        self.version = version
        self.header = header(version)
        self._pseudorandom = SecretBytes(HKDF.extract(_SHA256, None, master_key))
        # Both end with the data key's id, so that a batch need not encode the rest again and again.
        self._info = aad.data_key_derivation(tenant_id, _NO_ID)[: -len(_NO_ID.bytes)]
        self.wrap_aad = aad.data_key(tenant_id, _NO_ID, self.header)[: -len(_NO_ID.bytes)]

    def __del__(self) -> None:
        if hasattr(self, "_pseudorandom"):
            self._pseudorandom.wipe()

    def __repr__(self) -> str:
        return f"OpenMasterKey(tenant_id={self.tenant_id}, version={self.version})"

    def derivation(self) -> HMAC:
        """HKDF-Expand begun for any data key: a copy that is given the id and 0x01 ends as its wrapping key.

        Made for one batch and not kept: it holds the pseudorandom key, which only OpenSSL wipes.
        """
        mac = HMAC(self._pseudorandom.reveal(), _SHA256)
        mac.update(self._info)
        return mac

    def wrap(self, items: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
        """Wrap (data-key id of 16 bytes, data key of 32 bytes) pairs. Raises ValueError for other sizes."""
        pseudorandom = self._pseudorandom.reveal()
        nonces = os.urandom(NONCE_BYTES * len(items))
        wrapped = []
        for index, (key_id, data_key) in enumerate(items):
            if len(key_id) != len(_NO_ID.bytes) or len(data_key) != DATA_KEY_BYTES:
                raise ValueError("a data key has 32 bytes and an id of 16")
            nonce = nonces[index * NONCE_BYTES : (index + 1) * NONCE_BYTES]
            cipher = self._cipher(pseudorandom, key_id)
            wrapped.append(
                self.header + nonce + cipher.encrypt(nonce, data_key, self.wrap_aad + key_id)
            )
        return wrapped

    def unwrap(self, key_id: bytes, wrapped: bytes) -> bytes:
        """The data key. Raises CannotOpenError for damage, another tenant's, id's or version's."""
        if not wrapped.startswith(self.header) or len(wrapped) != WRAPPED_DATA_KEY_BYTES:
            raise CannotOpenError
        if len(key_id) != len(_NO_ID.bytes):
            raise CannotOpenError
        cipher = self._cipher(self._pseudorandom.reveal(), key_id)
        nonce = wrapped[_HEADER_BYTES:_CIPHERTEXT_AT]
        try:
            return cipher.decrypt(nonce, wrapped[_CIPHERTEXT_AT:], self.wrap_aad + key_id)
        except InvalidTag:
            raise CannotOpenError from None

    def _cipher(self, pseudorandom: bytes, key_id: bytes) -> AESGCM:
        return AESGCM(HKDFExpand(_SHA256, 32, self._info + key_id).derive(pseudorandom))
