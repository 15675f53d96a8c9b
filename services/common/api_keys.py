"""The form of API keys: recognisable by secret scanners, and a typo is refused without a look-up.

`tk_live_` (or `tk_test_`), 40 random base62 characters, 6 of checksum: the CRC-32 of the 40, in base62,
zero-padded. Only the SHA-256 of the whole is stored (40 base62 characters are 238 bits: no slow hash
is needed).
"""

from __future__ import annotations

import hashlib
import re
import secrets
import zlib
from dataclasses import dataclass
from typing import Final

ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
RANDOM_CHARACTERS: Final = 40
CHECKSUM_CHARACTERS: Final = 6
SCOPES: Final = (
    "secrets:read",
    "secrets:write",
    "collections:write",
    "environments:write",
    "api_keys:manage",
    "audit:read",
)
_FORM: Final = re.compile(
    rf"tk_(live|test)_([0-9A-Za-z]{{{RANDOM_CHARACTERS}}})([0-9A-Za-z]{{{CHECKSUM_CHARACTERS}}})"
)
_PREFIX_CHARACTERS: Final = 12


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """A key that was just made. `token` is shown once and never stored."""

    token: str
    key_id: str
    prefix: str
    sha256: bytes

    def __repr__(self) -> str:
        return f"NewApiKey(key_id={self.key_id!r}, prefix={self.prefix!r})"


def generate(mode: str = "live") -> NewApiKey:
    """A new key; `mode` is `live` or `test`."""
    body = "".join(secrets.choice(ALPHABET) for _ in range(RANDOM_CHARACTERS))
    token = f"tk_{mode}_{body}{checksum(body)}"
    key_id = "key_" + "".join(secrets.choice(ALPHABET) for _ in range(16))
    return NewApiKey(token, key_id, token[:_PREFIX_CHARACTERS], digest(token))


def well_formed(token: str) -> bool:
    """Whether prefix, length, alphabet and checksum are right."""
    match = _FORM.fullmatch(token)
    return match is not None and checksum(match[2]) == match[3]


def mode_of(text: str) -> str:
    """`live` or `test`, of a key or of its prefix."""
    return "test" if text.startswith("tk_test_") else "live"


def digest(token: str) -> bytes:
    """SHA-256 of the token: what is stored and looked up."""
    return hashlib.sha256(token.encode()).digest()


def checksum(body: str) -> str:
    """CRC-32 of the random characters, in base62, zero-padded to six."""
    number = zlib.crc32(body.encode())
    characters = []
    for _ in range(CHECKSUM_CHARACTERS):
        number, remainder = divmod(number, len(ALPHABET))
        characters.append(ALPHABET[remainder])
    return "".join(reversed(characters))
