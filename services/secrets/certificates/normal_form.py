"""The one form that every TLS library takes as it stands: PEM, with the key in plain PKCS#8.

RFC 7468 text: the leaf, then its issuers in the order of RFC 8446 section 4.4.2 (each certifies the one
before), then the private key (RFC 5958). It holds what the sender's content holds, under the same seal.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_LINE_LENGTH: Final = 64
_BLOCK: Final = re.compile(r"-----BEGIN ([A-Z ]+)-----\n.*?-----END \1-----\n", re.DOTALL)
_CERTIFICATE: Final = "CERTIFICATE"
_PRIVATE_KEY: Final = "PRIVATE KEY"


@dataclass(frozen=True, slots=True)
class NormalForm:
    """`certificate` is the leaf ("" for a key alone), `chain` its issuers, "" when none came along.

    `private_key` is None when there is none. Each ends with a line break, so that they can be joined.
    """

    certificate: str
    chain: str
    private_key: str | None = field(repr=False)


def write(path: Sequence[bytes], private_key: bytes | None) -> bytes:
    """The form as one text: DER certificates from the leaf upwards, and a DER PKCS#8 key."""
    parts = [_armored(_CERTIFICATE, certificate) for certificate in path]
    if private_key is not None:
        parts.append(_armored(_PRIVATE_KEY, private_key))
    return "".join(parts).encode("ascii")


def read(stored: bytes) -> NormalForm:
    """The parts of what `write` wrote."""
    found = [(block[1], block[0]) for block in _BLOCK.finditer(stored.decode("ascii"))]
    certificates = [text for label, text in found if label == _CERTIFICATE]
    keys = [text for label, text in found if label == _PRIVATE_KEY]
    return NormalForm(
        "".join(certificates[:1]), "".join(certificates[1:]), keys[0] if keys else None
    )


def _armored(label: str, data: bytes) -> str:
    text = base64.b64encode(data).decode("ascii")
    lines = [text[at : at + _LINE_LENGTH] for at in range(0, len(text), _LINE_LENGTH)]
    return "\n".join((f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""))
