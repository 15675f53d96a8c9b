"""Distinguished names as people read them.

RFC 4514 values, most specific first, joined by `, `: `CN=example.com, O=Example Inc, C=US`.
The text is for display and cannot be parsed back: RFC 4514 has no blank after the comma.

Read by ourselves and not by the library, which refuses a name, or the whole certificate, for an '@' in a
PrintableString, a Latin-1 letter in a TeletexString or an RDN with nothing in it.
"""

import re
from typing import Final

from services.secrets.certificates.encodings import der
from services.secrets.certificates.facts.not_shown import NotShown
from services.secrets.certificates.facts.spans import Span, spans

_SHORT_NAMES: Final = {
    "550403": "CN",  # 2.5.4.3
    "550407": "L",  # 2.5.4.7
    "550408": "ST",  # 2.5.4.8
    "55040a": "O",  # 2.5.4.10
    "55040b": "OU",  # 2.5.4.11
    "550406": "C",  # 2.5.4.6
    "550409": "STREET",  # 2.5.4.9
    "0992268993f22c640119": "DC",  # 0.9.2342.19200300.100.1.25
    "0992268993f22c640101": "UID",  # 0.9.2342.19200300.100.1.1
    "2a864886f70d010901": "emailAddress",  # 1.2.840.113549.1.9.1
    "550405": "serialNumber",  # 2.5.4.5
    "550404": "SN",  # 2.5.4.4
    "55042a": "GN",  # 2.5.4.42
    "55040c": "title",  # 2.5.4.12
    "550411": "postalCode",  # 2.5.4.17
    "55040f": "businessCategory",  # 2.5.4.15
    "550461": "organizationIdentifier",  # 2.5.4.97
    "2b0601040182373c020103": "jurisdictionC",  # 1.3.6.1.4.1.311.60.2.1.3
    "2b0601040182373c020101": "jurisdictionL",  # 1.3.6.1.4.1.311.60.2.1.1
    "2b0601040182373c020102": "jurisdictionST",  # 1.3.6.1.4.1.311.60.2.1.2
}
"""RFC 4514 section 3, and OpenSSL's short names for what that leaves as dotted numbers."""
_TYPES: Final = {bytes.fromhex(octets): short for octets, short in _SHORT_NAMES.items()}

_UTF8: Final = 0x0C
_EIGHT_BIT: Final = frozenset({0x12, 0x13, 0x14, 0x15, 0x16, 0x19, 0x1A, 0x1B})
"""Numeric, Printable, Teletex, Videotex, IA5, Graphic, Visible and General strings: what is beyond ASCII
in them is in practice UTF-8 or Latin-1, whatever the standards say."""
_WIDE: Final = {0x1C: "utf-32-be", 0x1E: "utf-16-be"}
"""UniversalString and BMPString."""

_SPECIAL: Final = re.compile(r'["+,;<>\\\0]|^[ #]| $')
_CONTROL: Final = re.compile(r"[\0-\x1f\x7f-\x9f]")


def display_name(name: bytes) -> str:
    """The display form of a Name, of which `name` is the body; "" for an empty one.

    RDNs without anything in them are left out. A value that is no text is shown as RFC 4514 section 2.4
    has it, '#' and its DER in hexadecimal. Raises ValueError for text that cannot be read, and NotShown
    for control characters.
    """
    rdns = [_rdn(name, span) for span in reversed(spans(name, 0, len(name)))]
    return storable(", ".join(filter(None, rdns)))


def storable(text: str) -> str:
    """The text itself. Raises ValueError when it is no printable Unicode, which no honest
    certificate has and which databases, terminals and JSON readers trip over."""
    text.encode()
    if _CONTROL.search(text):
        raise NotShown("it holds a control character")
    return text


def _rdn(name: bytes, span: Span) -> str:
    tag, _, start, end = span
    if tag != der.SET:
        raise ValueError("no RelativeDistinguishedName")
    return "+".join([_attribute(name, member) for member in spans(name, start, end)])


def _attribute(name: bytes, span: Span) -> str:
    tag, _, start, end = span
    kind, value = spans(name, start, end)
    if tag != der.SEQUENCE or kind[0] != der.OBJECT_IDENTIFIER:
        raise ValueError("no AttributeTypeAndValue")
    number = name[kind[2] : kind[3]]
    text = _text(value[0], name[value[2] : value[3]])
    shown = f"#{name[value[1] : value[3]].hex()}" if text is None else _SPECIAL.sub(_escaped, text)
    return f"{_TYPES.get(number) or der.Element(kind[0], number).oid()}={shown}"


def _text(tag: int, octets: bytes) -> str | None:
    """The text of any of ASN.1's string types, None for another type. Raises ValueError."""
    if tag == _UTF8:
        return octets.decode()
    if tag in _EIGHT_BIT:
        try:
            return octets.decode()
        except UnicodeDecodeError:
            return octets.decode("latin-1")
    return octets.decode(_WIDE[tag]) if tag in _WIDE else None


def _escaped(found: re.Match[str]) -> str:
    """RFC 4514 section 2.4."""
    return "\\00" if found[0] == "\0" else f"\\{found[0]}"
