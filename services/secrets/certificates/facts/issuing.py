"""Which certificates may stand above others in a chain (RFC 5280 section 6.1.4, steps k and n)."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

from cryptography import x509

from services.secrets.certificates.encodings import der
from services.secrets.certificates.facts.fields import is_ca

if TYPE_CHECKING:
    from services.secrets.certificates.facts.bundle import Bundle
    from services.secrets.certificates.facts.certificate import Certificate

_BASIC_CONSTRAINTS: Final = "2.5.29.19"
_KEY_USAGE: Final = "2.5.29.15"
_KEY_CERT_SIGN: Final = 0x04  # bit 5, counted from the left


def link_through_no_ca(bundle: Bundle) -> tuple[int, int] | None:
    """The lowest link of the path whose issuer is no CA: the positions of both; None without such a link."""
    for below, above in pairwise(bundle.path.positions):
        is_root = bundle.links.is_self_issued(above)
        if _is_surely_no_ca(bundle.certificates[above], is_root=is_root):
            return below, above
    return None


def _is_surely_no_ca(certificate: Certificate, *, is_root: bool) -> bool:
    """As OpenSSL sees it: a KeyUsage without keyCertSign rules a CA out; below a root BasicConstraints must
    say that it is one; roots without them are CAs by their key usage, or by being of X.509 version 1.
    False when the extensions cannot be read."""
    try:
        extensions = certificate.extensions
        usages = [value for number, value in extensions if number == _KEY_USAGE]
        if any(not _allows_signing(value) for value in usages):
            return True
        if is_ca(certificate):
            return False
    except ValueError:
        return False
    if not is_root or any(number == _BASIC_CONSTRAINTS for number, _ in extensions):
        return True
    if not extensions:
        parsed = certificate.parsed
        return parsed is not None and parsed.version is not x509.Version.v1
    return not usages


def _allows_signing(key_usage: bytes) -> bool:
    """KeyUsage ::= BIT STRING; what cannot be read is no reason for a warning."""
    try:
        usage = der.element(key_usage)
    except ValueError:
        return True
    first = int.from_bytes(usage.body[1:2], "big")
    return usage.tag != der.BIT_STRING or bool(first & _KEY_CERT_SIGN)
