"""Just enough DER (ITU-T X.690) to walk through a container and to cut certificates and keys out of it.

Nothing is ever accepted on its word: whatever is stored was read by `cryptography`, out of bytes that
this cut out unchanged. Lengths that lie are refused; lengths in more octets than needed are taken.
`cryptography.hazmat.asn1` cannot stand in: it knows no optional "any" element, which every
AlgorithmIdentifier ends with.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

INTEGER: Final = 0x02
BIT_STRING: Final = 0x03
OCTET_STRING: Final = 0x04
NULL: Final = 0x05
OBJECT_IDENTIFIER: Final = 0x06
SEQUENCE: Final = 0x30
SET: Final = 0x31

PADDING: Final = b"\0\r\n\x1a \t"
"""What tools and people leave behind a file: a buffer's rest, a line's end, the end mark of CP/M."""

MAX_SIBLINGS: Final = 65_536
"""Elements side by side: each costs a hundred bytes of memory, however little it holds."""

_LONG_LENGTH: Final = 0x80
_MAX_LENGTH_OCTETS: Final = 4
_MAX_OID_OCTETS: Final = 64  # far beyond any that is registered; decoding takes quadratic time
_MULTI_BYTE_TAG: Final = 0x1F
_MAX_TAG_OCTETS: Final = 4
_MORE: Final = 0x80
_PRIMITIVE_CONTEXT: Final = 0x80
_CONSTRUCTED_CONTEXT: Final = 0xA0


def context(number: int, *, constructed: bool = True) -> int:
    """The tag [number] (0 to 30): constructed for EXPLICIT and for IMPLICIT SEQUENCE and SET."""
    return (_CONSTRUCTED_CONTEXT if constructed else _PRIMITIVE_CONTEXT) | number


@dataclass(frozen=True, slots=True)
class Element:
    """One tag-length-value; its octets stay out of repr, as they may be key material.

    `tag` is the identifier octet with class and constructed bit, or all octets of a longer one as
    one number. `header` is tag and length as they were read, empty in an element made by hand.
    """

    tag: int
    body: bytes = field(repr=False)
    header: bytes = field(default=b"", repr=False)

    @property
    def encoded(self) -> bytes:
        """All of it exactly as it was read; a copy is made at each call."""
        return self.header + self.body

    def children(self) -> list[Element]:
        """The elements that the body is made of, whatever the tag, in order. Raises ValueError."""
        return elements(self.body)

    def members(self, tag: int = SEQUENCE) -> list[Element]:
        """The same of a SEQUENCE, or of a constructed element of that tag. Raises ValueError."""
        if self.tag != tag:
            raise ValueError("another tag than the structure has here")
        return elements(self.body)

    def octets(self) -> bytes:
        """What an OCTET STRING holds. Raises ValueError for any other tag."""
        if self.tag != OCTET_STRING:
            raise ValueError("not an OCTET STRING")
        return self.body

    def integer(self) -> int:
        """The value of an INTEGER. Raises ValueError for any other tag."""
        if self.tag != INTEGER or not self.body:
            raise ValueError("not an INTEGER")
        return int.from_bytes(self.body, "big", signed=True)

    def oid(self) -> str:
        """The dotted form of an OBJECT IDENTIFIER. Raises ValueError for any other tag."""
        if self.tag != OBJECT_IDENTIFIER or not 0 < len(self.body) <= _MAX_OID_OCTETS:
            raise ValueError("not an OBJECT IDENTIFIER, or too long")
        if self.body[-1] & 0x80:
            raise ValueError("cut short")
        arcs: list[int] = []
        value = 0
        for byte in self.body:
            value = value << 7 | byte & 0x7F
            if not byte & 0x80:
                arcs.append(value)
                value = 0
        root = min(arcs[0] // 40, 2)
        return ".".join(str(arc) for arc in (root, arcs[0] - 40 * root, *arcs[1:]))


def elements(data: bytes) -> list[Element]:
    """All elements that stand side by side in `data`, `MAX_SIBLINGS` at most. Raises ValueError.

    Definite lengths only (BER is turned into DER first, see ber.py); one level, no recursion.
    """
    found: list[Element] = []
    at = 0
    while at < len(data):
        if len(found) == MAX_SIBLINGS:
            raise ValueError("too many elements")
        element, at = _element(data, at)
        found.append(element)
    return found


def element(data: bytes) -> Element:
    """The one element that `data` is. Raises ValueError when more follows it."""
    found, end = _element(data, 0)
    if end != len(data):
        raise ValueError("more bytes after the element")
    return found


def sequence(data: bytes) -> list[Element]:
    """The members of the one SEQUENCE that `data` is. Raises ValueError."""
    return element(data).members()


def _element(data: bytes, at: int) -> tuple[Element, int]:
    if at + 2 > len(data):
        raise ValueError("cut short")
    begun, tag = at, data[at]
    if tag & _MULTI_BYTE_TAG == _MULTI_BYTE_TAG:
        at = _last_of_tag(data, at)
        tag = int.from_bytes(data[begun : at + 1], "big")
    length, start = data[at + 1], at + 2
    if length >= _LONG_LENGTH:
        octets = length - _LONG_LENGTH
        if not 0 < octets <= _MAX_LENGTH_OCTETS or start + octets > len(data):
            raise ValueError("indefinite or oversized length")
        length = int.from_bytes(data[start : start + octets], "big")
        start += octets
    end = start + length
    if end > len(data):
        raise ValueError("cut short")
    return Element(tag, data[start:end], data[begun:start]), end


def _last_of_tag(data: bytes, at: int) -> int:
    """Where a tag in several octets (X.690 8.1.2.4) has its last; a length follows for sure."""
    for last in range(at + 1, min(at + _MAX_TAG_OCTETS, len(data) - 1)):
        if not data[last] & _MORE:
            return last
    raise ValueError("cut short, or an oversized tag")
