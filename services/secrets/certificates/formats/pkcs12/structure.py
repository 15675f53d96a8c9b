"""The outside of a PKCS#12: PFX, AuthenticatedSafe and EncryptedData (RFC 7292 section 4, RFC 5652).

Nothing is decrypted and nothing verified here. What encapsulates BER in octets is turned into DER layer by
layer, as every layer may be written by another tool.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from services.secrets.certificates.encodings import ber, der
from services.secrets.certificates.keys.encryption import EncryptionRefused

_CMS: Final = "1.2.840.113549.1.7."
_DATA: Final = "1.2.840.113549.1.7.1"
_SIGNED_DATA: Final = "1.2.840.113549.1.7.2"
_ENVELOPED_DATA: Final = "1.2.840.113549.1.7.3"
_ENCRYPTED_DATA: Final = "1.2.840.113549.1.7.6"

_VERSION: Final = 3
_VERSIONS: Final = range(10)
"""Those that a PFX might say of itself; others are no PFX."""

_EXPLICIT_0: Final = der.context(0)
_IMPLICIT_0: Final = der.context(0, constructed=False)


@dataclass(frozen=True, slots=True)
class Sealed:
    """Something encrypted: an AlgorithmIdentifier and what it is about."""

    algorithm: der.Element
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Pfx:
    """`authenticated` is what the MAC is over. A part is SafeContents, plain or sealed, in file order."""

    authenticated: bytes = field(repr=False)
    parts: tuple[bytes | Sealed, ...] = field(repr=False)
    mac: der.Element | None
    is_ber: bool


def read_pfx(data: bytes) -> Pfx:
    """Takes the file apart.

    Raises EncryptionRefused for a way of protection that is not supported; ValueError and IndexError for
    another structure, and for one that is damaged, cut short or has more after it.
    """
    value, rest = ber.first_value(data)
    if rest.strip(der.PADDING):
        raise ValueError("more bytes after the structure")
    version, safe, others = _outside(value)
    if version != _VERSION:
        raise EncryptionRefused(f"it is of version {version}, and only version 3 is supported")
    authenticated = _authenticated(safe)
    inside = ber.to_der(authenticated)
    parts = tuple(_part(info) for info in der.sequence(inside))
    is_ber = not data.startswith(value) or inside is not authenticated
    return Pfx(authenticated, parts, others[0] if others else None, is_ber)


def _outside(value: bytes) -> tuple[int, der.Element, list[der.Element]]:
    """PFX ::= SEQUENCE { version INTEGER, authSafe ContentInfo, macData MacData OPTIONAL }"""
    version, safe, *others = der.sequence(value)
    number = version.integer()
    if number not in _VERSIONS or not safe.members()[0].oid().startswith(_CMS):
        raise ValueError("no PFX")
    return number, safe, others


def _content(info: der.Element) -> tuple[str, der.Element]:
    """ContentInfo ::= SEQUENCE { contentType, content [0] EXPLICIT ANY OPTIONAL }"""
    kind, content = info.members()
    (inside,) = content.members(_EXPLICIT_0)
    return kind.oid(), inside


def _authenticated(safe: der.Element) -> bytes:
    """The octets of AuthenticatedSafe, just as they are under the MAC."""
    kind, content = _content(safe)
    if kind == _DATA:
        return content.octets()
    if kind == _SIGNED_DATA:
        raise EncryptionRefused(
            "it is protected by a digital signature (public-key integrity mode) instead of a passphrase"
        )
    raise ValueError("an AuthenticatedSafe of another type")


def _part(info: der.Element) -> bytes | Sealed:
    """AuthenticatedSafe ::= SEQUENCE OF ContentInfo, each data, encryptedData or envelopedData"""
    kind, content = _content(info)
    if kind == _DATA:
        return content.octets()
    if kind == _ENCRYPTED_DATA:
        return _sealed(content)
    if kind == _ENVELOPED_DATA:
        raise EncryptionRefused(
            "it is encrypted for the holders of other keys (envelopedData, public-key privacy mode) "
            "instead of with a passphrase"
        )
    raise EncryptionRefused(f"it has a content of the type {kind}")


def _sealed(content: der.Element) -> Sealed:
    """EncryptedData ::= SEQUENCE { version, EncryptedContentInfo, unprotectedAttrs OPTIONAL }
    EncryptedContentInfo ::= SEQUENCE { contentType, algorithm, encryptedContent [0] IMPLICIT OCTETS }"""
    _, algorithm, sealed = content.members()[1].members()
    return Sealed(algorithm, _implicit_octets(sealed))


def _implicit_octets(element: der.Element) -> bytes:
    """An OCTET STRING behind [0], of which BER may have made segments."""
    if element.tag == _IMPLICIT_0:
        return element.body
    return b"".join(segment.octets() for segment in element.members(_EXPLICIT_0))
