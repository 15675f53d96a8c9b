"""Just enough DER (ITU-T X.690) to look at a container before a library is let loose on it.

It answers two questions only: how expensive would opening this be, and what is it if it is not what
was declared? Nothing is ever accepted on its word: whatever is stored was read by `cryptography`.
`cryptography.hazmat.asn1` cannot stand in: it knows no optional "any" element, which every
AlgorithmIdentifier ends with.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

INTEGER: Final = 0x02
BIT_STRING: Final = 0x03
OCTET_STRING: Final = 0x04
OBJECT_IDENTIFIER: Final = 0x06
SEQUENCE: Final = 0x30

_LONG_LENGTH: Final = 0x80
_MAX_LENGTH_OCTETS: Final = 4
_MAX_OID_OCTETS: Final = 64  # far beyond any that is registered; decoding takes quadratic time
_MULTI_BYTE_TAG: Final = 0x1F


@dataclass(frozen=True, slots=True)
class Element:
    """One tag-length-value; `body` stays out of repr, as it may be key material."""

    tag: int
    body: bytes = field(repr=False)

    def children(self) -> list[Element]:
        """The elements of a constructed one, in order. Raises ValueError."""
        return elements(self.body)

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
    """All elements that stand side by side in `data`; definite lengths only. Raises ValueError."""
    found: list[Element] = []
    at = 0
    while at < len(data):
        element, at = _element(data, at)
        found.append(element)
    return found


def sequence(data: bytes) -> list[Element]:
    """The members of the one SEQUENCE that `data` is. Raises ValueError."""
    found = elements(data)
    if len(found) != 1 or found[0].tag != SEQUENCE:
        raise ValueError("not one SEQUENCE")
    return found[0].children()


def _element(data: bytes, at: int) -> tuple[Element, int]:
    if at + 2 > len(data) or data[at] & _MULTI_BYTE_TAG == _MULTI_BYTE_TAG:
        raise ValueError("cut short, or a tag that no container here has")
    tag, length, start = data[at], data[at + 1], at + 2
    if length >= _LONG_LENGTH:
        octets = length - _LONG_LENGTH
        if not 0 < octets <= _MAX_LENGTH_OCTETS or start + octets > len(data):
            raise ValueError("indefinite or oversized length")
        length = int.from_bytes(data[start : start + octets], "big")
        start += octets
    end = start + length
    if end > len(data):
        raise ValueError("cut short")
    return Element(tag, data[start:end]), end
