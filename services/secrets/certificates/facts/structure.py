"""The parts of a certificate, told apart but not read (RFC 5280 section 4.1).

`cryptography` refuses a whole certificate for one odd field: an '@' in a PrintableString, a time without
seconds, a NULL too many. Such certificates are in use, so their fields are then read from here one by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from services.secrets.certificates.encodings import der

MAX_EXTENSIONS: Final = 256
"""Of a certificate that the library cannot read; RFC 5280 and its kin define some 40."""

_VERSION: Final = 0xA0
_UNIQUE_IDS: Final = frozenset({0x81, 0x82, 0xA1, 0xA2})
_EXTENSIONS: Final = 0xA3
_BOOLEAN: Final = 0x01


@dataclass(frozen=True, slots=True)
class Structure:
    """The elements of a certificate; what is inside them may be anything."""

    signed: bytes
    serial: der.Element
    inner_algorithm: der.Element
    issuer: der.Element
    validity: der.Element
    subject: der.Element
    key: der.Element
    extensions_field: der.Element | None
    algorithm: der.Element
    signature: bytes

    def extensions(self) -> list[tuple[str, bytes]]:
        """Number and DER of the value of each, repeated ones too. Raises ValueError, also for more than
        `MAX_EXTENSIONS`: they are gone through for every fact that they hold."""
        if self.extensions_field is None:
            return []
        members = der.sequence(self.extensions_field.body)
        if len(members) > MAX_EXTENSIONS:
            raise ValueError("too many extensions")
        return [_extension(member) for member in members]

    def key_algorithm(self) -> tuple[str, list[der.Element]]:
        """The number of the public key's algorithm and its parameters. Raises ValueError."""
        return _algorithm(self.key.children()[:1])

    def signature_algorithm(self) -> tuple[str, list[der.Element]]:
        """The number of the signature's algorithm and its parameters. Raises ValueError."""
        return _algorithm([self.algorithm])


def read_structure(data: bytes) -> Structure:
    """The structure of the certificate that `data` is. Raises ValueError when it is none."""
    outer = der.sequence(data)
    if [part.tag for part in outer] != [der.SEQUENCE, der.SEQUENCE, der.BIT_STRING]:
        raise ValueError("no signed structure")
    signed, algorithm, signature = outer
    parts = signed.children()
    if parts and parts[0].tag == _VERSION:
        del parts[0]  # v1, v2, v3 or nonsense: it changes nothing in how the rest is read
    required = parts[:6]
    expected = [der.INTEGER, *[der.SEQUENCE] * 5]
    if [part.tag for part in required] != expected:
        raise ValueError("no TBSCertificate")
    optional = [part for part in parts[6:] if part.tag not in _UNIQUE_IDS]
    if [part.tag for part in optional] not in ([], [_EXTENSIONS]):
        raise ValueError("something that no certificate has")
    serial, inner_algorithm, issuer, validity, subject, key = required
    return Structure(
        signed.encoded,
        serial,
        inner_algorithm,
        issuer,
        validity,
        subject,
        key,
        optional[0] if optional else None,
        algorithm,
        signature.body[1:],
    )


def _extension(member: der.Element) -> tuple[str, bytes]:
    """SEQUENCE { OBJECT IDENTIFIER, critical BOOLEAN DEFAULT FALSE, OCTET STRING }."""
    number, *rest = member.children()
    value = [part for part in rest if part.tag != _BOOLEAN]
    if len(value) != 1 or value[0].tag != der.OCTET_STRING:
        raise ValueError("no Extension")
    return number.oid(), value[0].body


def _algorithm(found: list[der.Element]) -> tuple[str, list[der.Element]]:
    if not found or found[0].tag != der.SEQUENCE:
        raise ValueError("no AlgorithmIdentifier")
    members = found[0].children()
    if not members:
        raise ValueError("an empty AlgorithmIdentifier")
    return members[0].oid(), members[1:]
