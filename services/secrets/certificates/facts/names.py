"""Distinguished names as people read them.

RFC 4514 values, most specific first, joined by `, `: `CN=example.com, O=Example Inc, C=US`.
The text is for display and cannot be parsed back: RFC 4514 has no blank after the comma.
"""

import unicodedata
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID, ObjectIdentifier

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


def display_name(name: x509.Name) -> str:
    """The display form; "" for an empty name. Raises ValueError for a name that has none."""
    shown = ", ".join(rdn.rfc4514_string(_SHORT_NAMES) for rdn in reversed(name.rdns))
    return storable(shown)


def storable(text: str) -> str:
    """The text itself. Raises ValueError when it is no printable Unicode, which no honest
    certificate has and which databases, terminals and JSON readers trip over."""
    text.encode()
    if any(unicodedata.category(character) == "Cc" for character in text):
        raise ValueError("a control character")
    return text
