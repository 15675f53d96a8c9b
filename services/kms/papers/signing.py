"""Signing papers, and telling our own: JWS Compact Serialization (RFC 7515) with EdDSA over Ed25519
(RFC 8037), through PyJWT.

The header has `alg` `EdDSA`, `kid` (the key's RFC 7638 thumbprint) and `typ`, the kind of paper: what was
signed as one kind is none of another. Ed25519 is deterministic, so the same paper has the same bytes.

Not promised: that a paper is true. A signature says that the holder of the platform's key wrote it.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    load_pem_private_key,
    load_pem_public_key,
)
from jwt import PyJWS, PyJWTError, get_unverified_header

from services.common.errors import UnavailableError
from services.common.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from services.common.sensitive import SecretBytes

ALGORITHM: Final = "EdDSA"
SIGNING_KEY: Final = "COFFER_KMS_SIGNING_KEY"
PREVIOUS_KEYS: Final = "COFFER_KMS_PREVIOUS_SIGNING_KEYS_FILE"

_PEM_BLOCK: Final = re.compile(
    rb"\s*(-----BEGIN PUBLIC KEY-----[A-Za-z0-9+/=\s]+-----END PUBLIC KEY-----)\s*"
)


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key for verifying: its name, and its 32 bytes in unpadded base64url."""

    kid: str
    x: str

    @classmethod
    def of(cls, key: Ed25519PublicKey) -> PublicKey:
        """As RFC 8037 writes it, named by its thumbprint (RFC 7638, SHA-256)."""
        x = _base64url(key.public_bytes_raw())
        # The required members in lexicographic order, without blanks: RFC 7638 section 3.3.
        facts = f'{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}'
        return cls(_base64url(hashlib.sha256(facts.encode()).digest()), x)

    def key(self) -> Ed25519PublicKey:
        """To verify with."""
        return Ed25519PublicKey.from_public_bytes(_of_base64url(self.x))


class Papers:
    """Signs with the platform's key. Construction does no I/O; `open` before use.

    The private key never leaves: it is in no repr, and nothing here can be pickled.
    """

    __slots__ = ("_jws", "_key", "_present", "_previous", "_previous_file")

    def __init__(self, signing_key: SecretBytes, previous_file: Path | None = None) -> None:
        """Raises SettingsError naming the variable when the key is no Ed25519 private key in PEM."""
        self._key = _private_key(signing_key)
        self._present = PublicKey.of(self._key.public_key())
        self._previous_file = previous_file
        self._previous: tuple[PublicKey, ...] = ()
        self._jws = PyJWS(algorithms=[ALGORITHM])

    async def open(self) -> None:
        """Read the public keys that signed before. Raises SettingsError naming the variable."""
        if self._previous_file is None:
            return
        try:
            found = await asyncio.to_thread(self._previous_file.read_bytes)
        except OSError as error:
            raise SettingsError(f"{PREVIOUS_KEYS} cannot be read: {type(error).__name__}") from None
        self._previous = _public_keys(found)

    @property
    def public_keys(self) -> tuple[PublicKey, ...]:
        """The present key first, then those that signed before; each once."""
        return tuple({key.kid: key for key in (self._present, *self._previous)}.values())

    def sign(self, kind: str, statement: Mapping[str, object]) -> str:
        """The JWS of a statement whose `typ` is `kind`. The payload is its JSON in UTF-8, members in the
        order given."""
        payload = json.dumps(statement, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        header = {"kid": self._present.kid, "typ": kind}
        return self._jws.encode(payload.encode(), self._key, algorithm=ALGORITHM, headers=header)

    def read(self, kind: str, jws: str) -> dict[str, Any] | None:
        """The statement of a paper of this `kind`, signed with one of `public_keys`; None for anything else.

        Raises UnavailableError when it was signed with another key, which may be one that other processes
        know already, or that was given up.
        """
        try:
            kid = get_unverified_header(jws).get("kid")
        except PyJWTError:
            return None
        named = next((key for key in self.public_keys if key.kid == kid), None)
        if named is None:
            raise UnavailableError(
                "It is signed with a key that is not published here. If that stays so, the operator has to"
                f" look at {PREVIOUS_KEYS}."
            )
        try:
            done = self._jws.decode_complete(jws, named.key(), algorithms=[ALGORITHM])
        except PyJWTError:
            return None
        if done["header"] != {"alg": ALGORITHM, "kid": kid, "typ": kind}:
            return None
        statement: dict[str, Any] = json.loads(done["payload"])
        return statement

    def __repr__(self) -> str:
        return f"Papers(kid={self._present.kid})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a signing key is not pickled")


def payload_of(jws: str) -> dict[str, Any]:
    """The statement in a JWS of ours. Verifies nothing: for showing what we stored, not for trusting it."""
    part = jws.split(".")[1]
    statement: dict[str, Any] = json.loads(_of_base64url(part))
    return statement


def _private_key(pem: SecretBytes) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(pem.reveal(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise SettingsError(
            f"{SIGNING_KEY} must be an Ed25519 private key in PEM, PKCS#8, without a passphrase"
            " (openssl genpkey -algorithm ed25519)"
        )
    return key


def _public_keys(text: bytes) -> tuple[PublicKey, ...]:
    """Of a file that holds PEM public keys and nothing else: a private key there would be a mistake.

    An empty file holds none.
    """
    if not text.strip():
        return ()
    blocks, at = [], 0
    while at < len(text) and (match := _PEM_BLOCK.match(text, at)):
        blocks.append(match[1])
        at = match.end()
    try:
        keys = [load_pem_public_key(block) for block in blocks]
    except (ValueError, UnsupportedAlgorithm):
        keys = []
    found = tuple(PublicKey.of(key) for key in keys if isinstance(key, Ed25519PublicKey))
    if at < len(text) or not found or len(found) != len(blocks):
        raise SettingsError(
            f"{PREVIOUS_KEYS} must hold Ed25519 public keys in PEM and nothing else"
        )
    return found


def _base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode("ascii")


def _of_base64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
