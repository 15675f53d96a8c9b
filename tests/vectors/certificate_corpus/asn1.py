"""DER as this corpus writes it, and the BER that older programs wrote (ITU-T X.690)."""

from __future__ import annotations

from typing import Final

NULL: Final = b"\x05\x00"
END_OF_CONTENTS: Final = b"\x00\x00"
_CHUNK: Final = 1000  # octets; what OpenSSL's BER writers cut strings into is of that order


def tlv(tag: int, body: bytes) -> bytes:
    """One element."""
    length = len(body)
    if length < 0x80:
        return bytes([tag, length]) + body
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + body


def sequence(*members: bytes) -> bytes:
    """SEQUENCE."""
    return tlv(0x30, b"".join(members))


def set_of(*members: bytes) -> bytes:
    """SET OF, in the order of DER."""
    return tlv(0x31, b"".join(sorted(members)))


def integer(value: int) -> bytes:
    """INTEGER, negative ones too."""
    length = max(1, (value + (value < 0)).bit_length() // 8 + 1)
    return tlv(2, value.to_bytes(length, "big", signed=True))


def octets(value: bytes) -> bytes:
    """OCTET STRING."""
    return tlv(4, value)


def bits(value: bytes) -> bytes:
    """BIT STRING of whole octets."""
    return tlv(3, b"\0" + value)


def explicit(number: int, body: bytes) -> bytes:
    """A constructed context-specific tag around whatever `body` holds."""
    return tlv(0xA0 | number, body)


def oid(dotted: str) -> bytes:
    """OBJECT IDENTIFIER."""
    first, second, *rest = (int(arc) for arc in dotted.split("."))
    body = b""
    for arc in (40 * first + second, *rest):
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(0x80 | arc & 0x7F)
        body += bytes(reversed(groups))
    return tlv(6, body)


def algorithm(dotted: str, *parameters: bytes) -> bytes:
    """AlgorithmIdentifier."""
    return sequence(oid(dotted), *parameters)


def elements(data: bytes) -> list[tuple[int, bytes]]:
    """Tag and body of the elements that stand side by side in DER that we wrote ourselves."""
    found = []
    while data:
        length, start = data[1], 2
        if length & 0x80:
            start += length & 0x7F
            length = int.from_bytes(data[2:start], "big")
        found.append((data[0], data[start : start + length]))
        data = data[start + length :]
    return found


def ber(data: bytes) -> bytes:
    """The same value in BER: indefinite lengths, and octet strings in pieces."""
    return b"".join(_ber(tag, body) for tag, body in elements(data))


def _ber(tag: int, body: bytes) -> bytes:
    if tag & 0x20:
        return bytes([tag, 0x80]) + ber(body) + END_OF_CONTENTS
    if tag == 4 and body:
        pieces = (tlv(4, body[at : at + _CHUNK]) for at in range(0, len(body), _CHUNK))
        return b"\x24\x80" + b"".join(pieces) + END_OF_CONTENTS
    return tlv(tag, body)
