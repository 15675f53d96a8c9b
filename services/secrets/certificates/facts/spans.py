"""Where the elements of DER stand: `der.elements` at a fifth of its price, for what every certificate asks.

No object is made for an element and nothing is copied. Definite lengths and tags of one octet only, which
is all that certificates have.
"""

from __future__ import annotations

from typing import Final

from services.secrets.certificates.encodings.der import MAX_SIBLINGS

Span = tuple[int, int, int, int]
"""Tag; where the element begins, where its body begins, where both end."""

_LONG_LENGTH: Final = 0x80
_MAX_LENGTH_OCTETS: Final = 4
_LONG_TAG: Final = 0x1F


def spans(data: bytes, at: int, end: int) -> list[Span]:
    """The elements side by side from `at` to `end`. Raises ValueError."""
    found: list[Span] = []
    while at < end:
        start = at + 2
        if start > end or len(found) == MAX_SIBLINGS:
            raise ValueError("cut short, or too many elements")
        tag, length = data[at], data[at + 1]
        if length >= _LONG_LENGTH:
            octets = length - _LONG_LENGTH
            start += octets
            if not 0 < octets <= _MAX_LENGTH_OCTETS or start > end:
                raise ValueError("indefinite or oversized length")
            length = int.from_bytes(data[at + 2 : start], "big")
        stop = start + length
        if stop > end or tag & _LONG_TAG == _LONG_TAG:
            raise ValueError("cut short, or a tag that no certificate has")
        found.append((tag, at, start, stop))
        at = stop
    return found
