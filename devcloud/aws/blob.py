"""AWS's ciphertext blobs: `DCK1`, the key's material as generation, the context as AAD."""

from __future__ import annotations

from typing import TYPE_CHECKING

from devcloud.ciphertexts import Layout

if TYPE_CHECKING:
    from collections.abc import Mapping

    from devcloud.aws.model import Material
    from devcloud.ciphertexts import Ciphertext

_LAYOUT = Layout(b"DCK1", generation_bytes=32)


def seal(plaintext: bytes, *, key_id: str, material: Material, context: Mapping[str, str]) -> bytes:
    """Encrypt under one generation of a key."""
    return _LAYOUT.seal(
        plaintext,
        key_id=key_id,
        generation=bytes.fromhex(material.id),
        secret=material.secret,
        aad=canonical(context),
    )


def parse(raw: bytes) -> Ciphertext:
    """Read the parts. Raises CiphertextError."""
    return _LAYOUT.parse(raw)


def material_id(parsed: Ciphertext) -> str:
    """The material that a blob names."""
    return parsed.generation.hex()


def open_blob(parsed: Ciphertext, *, material: Material, context: Mapping[str, str]) -> bytes:
    """Decrypt with the material the blob names. Raises CiphertextError."""
    return parsed.open(secret=material.secret, aad=canonical(context))


def canonical(context: Mapping[str, str]) -> bytes:
    """The context as bytes: sorted pairs, each part with its length, so no two contexts meet."""
    out = bytearray()
    for name, value in sorted(context.items()):
        for part in (name.encode(), value.encode()):
            out += len(part).to_bytes(4, "big") + part
    return bytes(out)
