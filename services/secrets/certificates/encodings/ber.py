"""BER to DER (ITU-T X.690), as far as containers of certificates are written in BER by real tools.

Rewritten: indefinite lengths (8.1.3.6), strings in segments (8.7.3, 8.6.4, 8.23), lengths with more
octets than needed (8.1.3.5). Left alone: the contents of primitive values, the order of a SET, and
context tags, behind which a string in segments cannot be told from anything else.
An OCTET STRING that encapsulates BER is opaque here; whoever looks inside it calls again.

No recursion, one look at every element, and each byte copied once per level at most.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from services.secrets.certificates.limits import MAX_DECODED_BYTES

MAX_NESTING: Final = 64
"""Elements within elements; a PKCS#7 of a certificate with every extension there is has about 15."""

_CONSTRUCTED: Final = 0x20
_MULTI_BYTE_TAG: Final = 0x1F
_MORE: Final = 0x80
_INDEFINITE: Final = 0x80
_SHORT_LENGTHS: Final = 0x80  # below it the length is its own octet
_MAX_TAG_OCTETS: Final = 4
_MAX_LENGTH_OCTETS: Final = 8
_BIT_STRING: Final = 0x03
_OCTET_STRING: Final = 0x04
_STRINGS: Final = frozenset(
    {
        _BIT_STRING,
        _OCTET_STRING,
        0x0C,
        *range(0x12, 0x1F),
    }  # UTF8String, and the others to BMPString
)
_SEGMENTED: Final = frozenset(tag | _CONSTRUCTED for tag in _STRINGS)


def to_der(data: bytes) -> bytes:
    """The one BER value that `data` is, in definite and minimal lengths; `data` itself if it has them.

    Raises ValueError for what is no BER, is cut short, has more after it, is nested deeper than
    `MAX_NESTING` or longer than any content may be. The message holds no byte of it.
    """
    value, rest = first_value(data)
    if rest:
        raise ValueError("more bytes after the value")
    return value


def first_value(data: bytes) -> tuple[bytes, bytes]:
    """The same for a value that more may follow: (value, the bytes after it). Raises ValueError."""
    if len(data) > MAX_DECODED_BYTES:
        raise ValueError("too long")
    end = _definite_end(data)
    if end is not None:
        return (data, b"") if end == len(data) else (data[:end], data[end:])
    value, end = _rewritten(data)
    return value, data[end:]


def _definite_end(data: bytes) -> int | None:
    """Where the first value ends; None as soon as something in it needs rewriting."""
    _, _, at, length, is_minimal = _header(data, 0, len(data))
    if length is None or not is_minimal:
        return None
    end = at + length
    ends = [end]
    at = 0
    while at < end:
        tag, is_open, at, length, is_minimal = _header(data, at, ends[-1])
        if length is None or not is_minimal or tag[0] in _SEGMENTED:
            return None
        if is_open:
            _push(ends, at + length)
        else:
            at += length
        while ends and at == ends[-1]:
            ends.pop()
    return end


def _push(ends: list[int], end: int) -> None:
    if len(ends) > MAX_NESTING:
        raise ValueError("nested too deeply")
    ends.append(end)


@dataclass(slots=True)
class _Open:
    """A constructed value that is being read. `end` is None until its end-of-contents is met."""

    tag: bytes
    end: int | None
    limit: int
    parts: list[bytes] = field(default_factory=list, repr=False)

    def add(self, tag: bytes, body: bytes) -> None:
        """Takes a finished value in: whole, or as a segment of the string that this is."""
        if self.tag[0] not in _SEGMENTED:
            self.parts += (tag, _length(len(body)), body)
        elif tag[0] == self.tag[0] & ~_CONSTRUCTED or self._is_octets(tag[0]):
            self.parts.append(body)
        else:
            raise ValueError("a string with a segment of another type")

    def _is_octets(self, tag: int) -> bool:
        """A character string is an OCTET STRING with another tag (8.23.3), so are its segments."""
        return tag == _OCTET_STRING and self.tag[0] != _BIT_STRING | _CONSTRUCTED

    def closed(self) -> tuple[bytes, bytes]:
        """Its tag and body in DER."""
        if self.tag[0] not in _SEGMENTED:
            return self.tag, b"".join(self.parts)
        tag = self.tag[0] & ~_CONSTRUCTED
        return bytes([tag]), _bits(self.parts) if tag == _BIT_STRING else b"".join(self.parts)


def _bits(segments: list[bytes]) -> bytes:
    """Each begins with how many bits of its last octet are unused: none, but for the last segment."""
    if not all(segments) or any(segment[0] for segment in segments[:-1]):
        raise ValueError("a BIT STRING in segments that do not fit together")
    unused = segments[-1][:1] if segments else b"\0"
    return unused + b"".join(segment[1:] for segment in segments)


def _rewritten(data: bytes) -> tuple[bytes, int]:
    """The first value in DER, and where it ended in `data`."""
    whole = _Open(b"\0", None, len(data))
    stack = [whole]
    at = 0
    while not whole.parts:
        top = stack[-1]
        if at == top.end:
            stack.pop()
            stack[-1].add(*top.closed())
            continue
        if top.end is None and top is not whole and data[at : at + 2] == b"\0\0":
            top.end = at = at + 2
            continue
        tag, is_open, at, length, _ = _header(data, at, top.limit)
        if not is_open and length is not None:
            top.add(tag, data[at : at + length])
            at += length
            continue
        if not is_open or len(stack) > MAX_NESTING:
            raise ValueError("a primitive value without a length, or nested too deeply")
        end = None if length is None else at + length
        stack.append(_Open(tag, end, top.limit if end is None else end))
    return b"".join(whole.parts), at


def _header(data: bytes, at: int, limit: int) -> tuple[bytes, bool, int, int | None, bool]:
    """(tag octets, whether constructed, where the contents begin, their length, whether minimal).

    The length is None when it is indefinite, and otherwise ends within `limit`.
    """
    if at + 2 > limit or not data[at]:
        raise ValueError("cut short, or an end-of-contents out of place")
    begun = at
    if data[at] & _MULTI_BYTE_TAG == _MULTI_BYTE_TAG:
        at = _end_of_tag(data, at, limit) - 1
    tag, first, start = data[begun : at + 1], data[at + 1], at + 2
    is_open = bool(tag[0] & _CONSTRUCTED)
    if first < _SHORT_LENGTHS:
        length, is_minimal = first, True
    elif first == _INDEFINITE:
        return tag, is_open, start, None, False
    else:
        octets = first - _SHORT_LENGTHS
        if octets > _MAX_LENGTH_OCTETS or start + octets > limit:
            raise ValueError("an oversized length")
        length = int.from_bytes(data[start : start + octets], "big")
        is_minimal = length >= _SHORT_LENGTHS and data[start] != 0
        start += octets
    if start + length > limit:
        raise ValueError("cut short")
    return tag, is_open, start, length, is_minimal


def _end_of_tag(data: bytes, at: int, limit: int) -> int:
    """Where a tag in several octets (8.1.2.4) ends; the length follows there."""
    for end in range(at + 2, min(at + _MAX_TAG_OCTETS, limit - 1) + 1):
        if not data[end - 1] & _MORE:
            return end
    raise ValueError("cut short, or an oversized tag")


def _length(length: int) -> bytes:
    if length < _SHORT_LENGTHS:
        return bytes([length])
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([_SHORT_LENGTHS | len(octets)]) + octets
