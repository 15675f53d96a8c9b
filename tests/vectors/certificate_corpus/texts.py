"""How bytes travel as text: PEM, base64, data URLs."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.vectors.certificate_corpus.authority import Issued, Pair


def block(label: str, data: bytes, width: int = 64, headers: str = "") -> str:
    """One PEM block (RFC 7468)."""
    return f"-----BEGIN {label}-----\n{headers}{lines(data, width)}-----END {label}-----\n"


def lines(data: bytes, width: int = 64, ending: str = "\n") -> str:
    """Base64 in lines, the last one ended too."""
    text = b64(data)
    return "".join(text[at : at + width] + ending for at in range(0, len(text), width))


def b64(data: bytes) -> str:
    """Base64 in one piece."""
    return base64.b64encode(data).decode()


def b64url(data: bytes, *, padded: bool = True) -> str:
    """The URL-safe alphabet."""
    text = base64.urlsafe_b64encode(data).decode()
    return text if padded else text.rstrip("=")


def pem(*issued: Issued) -> str:
    """Certificates in PEM, in that order."""
    return "".join(block("CERTIFICATE", one.der) for one in issued)


def key_pem(pair: Pair) -> str:
    """Plain PKCS#8 in PEM."""
    return block("PRIVATE KEY", pair.pkcs8)
