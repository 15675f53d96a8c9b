"""Distinguished names as people read them.

RFC 4514 values, most specific first, joined by `, `: `CN=example.com, O=Example Inc, C=US`.
The text is for display and cannot be parsed back: RFC 4514 has no blank after the comma.
"""

import unicodedata
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID, ObjectIdentifier

from services.secrets.certificates.encodings import der

_SHORT_NAMES: Final[dict[ObjectIdentifier, str]] = {
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
"""OpenSSL's short names for what RFC 4514 section 3 leaves as dotted numbers."""

_TYPES: Final[dict[str, str]] = {
    **{identifier.dotted_string: short for identifier, short in _SHORT_NAMES.items()},
    NameOID.COMMON_NAME.dotted_string: "CN",
    NameOID.LOCALITY_NAME.dotted_string: "L",
    NameOID.STATE_OR_PROVINCE_NAME.dotted_string: "ST",
    NameOID.ORGANIZATION_NAME.dotted_string: "O",
    NameOID.ORGANIZATIONAL_UNIT_NAME.dotted_string: "OU",
    NameOID.COUNTRY_NAME.dotted_string: "C",
    NameOID.STREET_ADDRESS.dotted_string: "STREET",
    NameOID.DOMAIN_COMPONENT.dotted_string: "DC",
    NameOID.USER_ID.dotted_string: "UID",
}
"""The same and the table of RFC 4514 section 3, which the library has inside."""

_UTF8: Final = 0x0C
_EIGHT_BIT: Final = frozenset({0x12, 0x13, 0x14, 0x15, 0x16, 0x19, 0x1A, 0x1B})
"""Numeric, Printable, Teletex, Videotex, IA5, Graphic, Visible and General strings: what is beyond ASCII
in them is in practice UTF-8 or Latin-1, whatever the standards say."""
_WIDE: Final = {0x1C: "utf-32-be", 0x1E: "utf-16-be"}
"""UniversalString and BMPString."""
_ESCAPED: Final = '"+,;<>\\'


def display_name(name: x509.Name) -> str:
    """The display form; "" for an empty name. Raises ValueError for a name that has none."""
    shown = ", ".join(rdn.rfc4514_string(_SHORT_NAMES) for rdn in reversed(name.rdns))
    return storable(shown)


def display_encoded(name: der.Element) -> str:
    """The same form, read from a Name by ourselves; RDNs without anything in them are left out.

    A value that is no text is shown as RFC 4514 section 2.4 has it, '#' and its DER in hexadecimal.
    Raises ValueError for text that cannot be read.
    """
    rdns = (_rdn(member) for member in reversed(name.children()))
    return storable(", ".join(shown for shown in rdns if shown))


def _rdn(member: der.Element) -> str:
    return "+".join(_attribute(attribute) for attribute in member.members(der.SET))


def _attribute(attribute: der.Element) -> str:
    kind, value = attribute.members()
    dotted = kind.oid()
    text = string(value)
    shown = f"#{value.encoded.hex()}" if text is None else _escape(text)
    return f"{_TYPES.get(dotted, dotted)}={shown}"


def string(value: der.Element) -> str | None:
    """The text of any of ASN.1's string types, None for another type. Raises ValueError."""
    if value.tag in _EIGHT_BIT:
        try:
            return value.body.decode()
        except UnicodeDecodeError:
            return value.body.decode("latin-1")
    if value.tag == _UTF8:
        return value.body.decode()
    return value.body.decode(_WIDE[value.tag]) if value.tag in _WIDE else None


def _escape(text: str) -> str:
    """RFC 4514 section 2.4."""
    shown = "".join(f"\\{letter}" if letter in _ESCAPED else letter for letter in text)
    shown = shown.replace("\0", "\\00")
    if shown.startswith(("#", " ")):
        shown = f"\\{shown}"
    if shown.endswith(" ") and len(text) > 1:
        shown = f"{shown[:-1]}\\ "
    return shown


def storable(text: str) -> str:
    """The text itself. Raises ValueError when it is no printable Unicode, which no honest
    certificate has and which databases, terminals and JSON readers trip over."""
    text.encode()
    if any(unicodedata.category(character) == "Cc" for character in text):
        raise ValueError("a control character")
    return text
