"""What is in a PKCS#12: SafeContents and the bags in them (RFC 7292 section 4.2).

Attributes (friendly names, key identifiers, what Windows and Java add) are not looked at: which key belongs
to which certificate is told by the keys. So odd ones do no harm.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from services.secrets.certificates.encodings import ber, der
from services.secrets.certificates.formats.pkcs12.structure import Sealed

_BAGS: Final = "1.2.840.113549.1.12.10.1."
_KEY: Final = _BAGS + "1"
_SHROUDED_KEY: Final = _BAGS + "2"
_CERTIFICATE: Final = _BAGS + "3"
_SECRET: Final = _BAGS + "5"
_SAFE_CONTENTS: Final = _BAGS + "6"
_X509: Final = "1.2.840.113549.1.9.22.1"
_WINDOWS_ACCOUNTS: Final = "1.3.6.1.4.1.311.17.4"
"""Type of the secret in which Windows keeps a random passphrase for the accounts that may have it
(szOID_PKCS_12_PROTECTED_PASSWORD_SECRET_BAG_TYPE_ID in wincrypt.h)."""

_MAX_NESTING: Final = 4
"""SafeContents within SafeContents; no tool is known that nests them at all."""

_EXPLICIT_0: Final = der.context(0)


@dataclass(slots=True)
class Bags:
    """Certificates and private keys (PKCS#8) in file order, as octets; `others` counts all other bags."""

    certificates: list[bytes] = field(default_factory=list, repr=False)
    keys: list[bytes | Sealed] = field(default_factory=list, repr=False)
    others: int = 0
    is_for_windows_accounts: bool = False
    is_ber: bool = False

    def add(self, more: Bags) -> None:
        """Appends what is in `more`."""
        self.certificates += more.certificates
        self.keys += more.keys
        self.others += more.others
        self.is_for_windows_accounts |= more.is_for_windows_accounts
        self.is_ber |= more.is_ber


def bags_of(contents: bytes) -> Bags:
    """Everything in SafeContents, those nested in it too. Raises ValueError for a damaged structure."""
    value = ber.to_der(contents)
    found = Bags(is_ber=value is not contents)
    _walk(der.element(value), found, 0)
    return found


def _walk(contents: der.Element, found: Bags, depth: int) -> None:
    """SafeContents ::= SEQUENCE OF SafeBag { bagId, bagValue [0] EXPLICIT, bagAttributes OPTIONAL }"""
    if depth > _MAX_NESTING:
        raise ValueError("nested too deeply")
    for bag in contents.members():
        kind, value, *_ = bag.members()
        (inside,) = value.members(_EXPLICIT_0)
        name = kind.oid()
        if name == _SAFE_CONTENTS:
            _walk(inside, found, depth + 1)
        elif name == _KEY:
            found.keys.append(inside.encoded)
        elif name == _SHROUDED_KEY:
            algorithm, data = inside.members()
            found.keys.append(Sealed(algorithm, data.octets()))
        elif name == _CERTIFICATE:
            _add_certificate(inside.members(), found)
        else:
            found.others += 1
            found.is_for_windows_accounts |= name == _SECRET and _is_for_windows_accounts(inside)


def _add_certificate(members: list[der.Element], found: Bags) -> None:
    """CertBag ::= SEQUENCE { certId, certValue [0] EXPLICIT }: X.509, or SDSI, which nobody reads."""
    kind, value = members
    if kind.oid() != _X509:
        found.others += 1
        return
    (certificate,) = value.members(_EXPLICIT_0)
    found.certificates.append(certificate.octets())


def _is_for_windows_accounts(secret: der.Element) -> bool:
    """SecretBag ::= SEQUENCE { secretTypeId, secretValue [0] EXPLICIT }"""
    kind, *_ = secret.members()
    return kind.oid() == _WINDOWS_ACCOUNTS
