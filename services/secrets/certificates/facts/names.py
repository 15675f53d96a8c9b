"""Distinguished names as people read them.

RFC 4514 values, most specific first, joined by `, `: `CN=example.com, O=Example Inc, C=US`.
The text is for display and cannot be parsed back: RFC 4514 has no blank after the comma.

Read by ourselves and not by the library, which refuses a name, or the whole certificate, for an '@' in a
PrintableString, a Latin-1 letter in a TeletexString or an RDN with nothing in it.
"""

import re
from typing import Final

from cryptography.x509.oid import NameOID, ObjectIdentifier

from services.secrets.certificates.encodings import der

_SHORT_NAMES: Final[dict[ObjectIdentifier, str]] = {
    NameOID.COMMON_NAME: "CN",
    NameOID.LOCALITY_NAME: "L",
    NameOID.STATE_OR_PROVINCE_NAME: "ST",
    NameOID.ORGANIZATION_NAME: "O",
    NameOID.ORGANIZATIONAL_UNIT_NAME: "OU",
    NameOID.COUNTRY_NAME: "C",
    NameOID.STREET_ADDRESS: "STREET",
    NameOID.DOMAIN_COMPONENT: "DC",
    NameOID.USER_ID: "UID",
    NameOID.EMAIL_ADDRESS: "emailAddress",
    NameOID.SERIAL_NUMBER: "serialNumber",
    NameOID.SURNAME: "SN",
    NameOID.GIVEN_NAME: "GN",
    NameOID.TITLE: "title",
    NameOID.POSTAL_CODE: "postalCode",
    NameOID.BUSINESS_CATEGORY: "businessCategory",
    NameOID.ORGANIZATION_IDENTIFIER: "organizationIdentifier",
    NameOID.JURISDICTION_COUNTRY_NAME: "jurisdictionC",
    NameOID.JURISDICTION_LOCALITY_NAME: "jurisdictionL",
    NameOID.JURISDICTION_STATE_OR_PROVINCE_NAME: "jurisdictionST",
}
"""RFC 4514 section 3, and OpenSSL's short names for what that leaves as dotted numbers."""
_TYPES: Final = {number.dotted_string: short for number, short in _SHORT_NAMES.items()}

_UTF8: Final = 0x0C
_EIGHT_BIT: Final = frozenset({0x12, 0x13, 0x14, 0x15, 0x16, 0x19, 0x1A, 0x1B})
"""Numeric, Printable, Teletex, Videotex, IA5, Graphic, Visible and General strings: what is beyond ASCII
in them is in practice UTF-8 or Latin-1, whatever the standards say."""
_WIDE: Final = {0x1C: "utf-32-be", 0x1E: "utf-16-be"}
"""UniversalString and BMPString."""

_SPECIAL: Final = re.compile(r'["+,;<>\\\0]|^[ #]| $')
_CONTROL: Final = re.compile(r"[\0-\x1f\x7f-\x9f]")


def display_name(name: der.Element) -> str:
    """The display form of a Name; "" for an empty one. RDNs without anything in them are left out.

    A value that is no text is shown as RFC 4514 section 2.4 has it, '#' and its DER in hexadecimal.
    Raises ValueError for text that cannot be read.
    """
    rdns = [_rdn(member) for member in reversed(name.members())]
    return storable(", ".join(filter(None, rdns)))


def storable(text: str) -> str:
    """The text itself. Raises ValueError when it is no printable Unicode, which no honest
    certificate has and which databases, terminals and JSON readers trip over."""
    text.encode()
    if _CONTROL.search(text):
        raise ValueError("a control character")
    return text


def _rdn(member: der.Element) -> str:
    return "+".join([_attribute(attribute) for attribute in member.members(der.SET)])


def _attribute(attribute: der.Element) -> str:
    kind, value = attribute.members()
    dotted = kind.oid()
    text = _text(value)
    shown = f"#{value.encoded.hex()}" if text is None else _SPECIAL.sub(_escaped, text)
    return f"{_TYPES.get(dotted, dotted)}={shown}"


def _text(value: der.Element) -> str | None:
    """The text of any of ASN.1's string types, None for another type. Raises ValueError."""
    if value.tag == _UTF8:
        return value.body.decode()
    if value.tag in _EIGHT_BIT:
        try:
            return value.body.decode()
        except UnicodeDecodeError:
            return value.body.decode("latin-1")
    return value.body.decode(_WIDE[value.tag]) if value.tag in _WIDE else None


def _escaped(found: re.Match[str]) -> str:
    """RFC 4514 section 2.4."""
    return "\\00" if found[0] == "\0" else f"\\{found[0]}"
