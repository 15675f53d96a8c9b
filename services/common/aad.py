"""Additional authenticated data: immutable facts in one canonical, length-prefixed form.

Layout: `CAAD`, one byte of format number, then for the purpose and each fact a 4-byte big-endian length
and the bytes. Two different lists of facts never give the same bytes (NIST SP 800-38D asks that the
associated data be unambiguous; this is what makes a moved row fail to open).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from uuid import UUID

_MAGIC: Final = b"CAAD"
_FORMAT: Final = 1


def encode(purpose: str, *facts: bytes) -> bytes:
    """The canonical bytes of a purpose and its facts."""
    parts = [_MAGIC, bytes([_FORMAT])]
    for fact in (purpose.encode(), *facts):
        parts.extend((struct.pack(">I", len(fact)), fact))
    return b"".join(parts)


def data_key(tenant_id: UUID, data_key_id: UUID, header: bytes) -> bytes:
    """What a wrapped data key is bound to; `header` is the wrapped form's own."""
    return encode("coffer/data-key", header, tenant_id.bytes, data_key_id.bytes)


def data_key_derivation(tenant_id: UUID, data_key_id: UUID) -> bytes:
    """HKDF info of the key that wraps one data key."""
    return encode("coffer/data-key-wrapping-key", tenant_id.bytes, data_key_id.bytes)


def field(  # noqa: PLR0917 - the facts, in their order
    tenant_id: UUID,
    secret_id: UUID,
    environment_id: UUID,
    value_version: int,
    data_key_id: UUID,
    name: str,
    header: bytes,
) -> bytes:
    """What one sealed field of a value is bound to; `header` is the sealed form's own."""
    return encode(
        "coffer/field",
        header,
        tenant_id.bytes,
        secret_id.bytes,
        environment_id.bytes,
        struct.pack(">Q", value_version),
        data_key_id.bytes,
        name.encode(),
    )
