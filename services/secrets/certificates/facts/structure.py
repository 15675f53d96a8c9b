"""The parts of a certificate, told apart but not read (RFC 5280 section 4.1).

`cryptography` refuses a whole certificate for one odd field: an '@' in a PrintableString, a time without
seconds, a NULL too many. Such certificates are in use, so their fields are then read from here one by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from services.secrets.certificates.encodings import der
from services.secrets.certificates.facts.not_shown import NotShown
from services.secrets.certificates.facts.spans import spans

MAX_EXTENSIONS: Final = 256
"""Of a certificate that the library cannot read; RFC 5280 and its kin define some 40."""

_VERSION: Final = 0xA0
_UNIQUE_IDS: Final = frozenset({0x81, 0x82, 0xA1, 0xA2})
_EXTENSIONS: Final = 0xA3
_BOOLEAN: Final = 0x01
_OUTER: Final = [der.SEQUENCE, der.SEQUENCE, der.BIT_STRING]
_REQUIRED: Final = [der.INTEGER, *[der.SEQUENCE] * 5]


@dataclass(frozen=True, slots=True)
class Structure:
    """The parts of a certificate, each with its header but for `signature`; inside them may be anything.

    `issuer` and `subject` are without theirs. `extensions_field` is the body of [3], if that is there.
    """

    signed: bytes
    serial: bytes
    inner_algorithm: bytes
    issuer: bytes
    validity: bytes
    subject: bytes
    key: bytes
    extensions_field: bytes | None
    algorithm: bytes
    signature: bytes

    def extensions(self) -> list[tuple[str, bytes]]:
        """Number and DER of the value of each, repeated ones too. Raises ValueError, and NotShown for more
        than `MAX_EXTENSIONS`: they are gone through for every fact that they hold."""
        if self.extensions_field is None:
            return []
        members = der.sequence(self.extensions_field)
        if len(members) > MAX_EXTENSIONS:
            raise NotShown(f"there are more than {MAX_EXTENSIONS} extensions")
        return [_extension(member) for member in members]

    def key_algorithm(self) -> tuple[str, list[der.Element]]:
        """The number of the public key's algorithm and its parameters. Raises ValueError."""
        return _algorithm(der.sequence(self.key)[:1])

    def signature_algorithm(self) -> tuple[str, list[der.Element]]:
        """The number of the signature's algorithm and its parameters. Raises ValueError."""
        return _algorithm(der.elements(self.algorithm))


def read_structure(data: bytes) -> Structure:
    """The structure of the certificate that `data` is. Raises ValueError when it is none."""
    whole = spans(data, 0, len(data))
    if len(whole) != 1:
        raise ValueError("not one element")
    tag, _, start, end = whole[0]
    outer = spans(data, start, end)
    if tag != der.SEQUENCE or [part[0] for part in outer] != _OUTER:
        raise ValueError("no signed structure")
    signed, algorithm, signature = outer
    parts = spans(data, signed[2], signed[3])
    if parts and parts[0][0] == _VERSION:
        del parts[0]  # v1, v2, v3 or nonsense: it changes nothing in how the rest is read
    if [part[0] for part in parts[:6]] != _REQUIRED:
        raise ValueError("no TBSCertificate")
    optional = [part for part in parts[6:] if part[0] not in _UNIQUE_IDS]
    if [part[0] for part in optional] not in ([], [_EXTENSIONS]):
        raise ValueError("something that no certificate has")
    serial, inner_algorithm, issuer, validity, subject, key = parts[:6]
    return Structure(
        data[signed[1] : signed[3]],
        data[serial[1] : serial[3]],
        data[inner_algorithm[1] : inner_algorithm[3]],
        data[issuer[2] : issuer[3]],
        data[validity[1] : validity[3]],
        data[subject[2] : subject[3]],
        data[key[1] : key[3]],
        data[optional[0][2] : optional[0][3]] if optional else None,
        data[algorithm[1] : algorithm[3]],
        data[signature[2] + 1 : signature[3]],
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
