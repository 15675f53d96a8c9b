"""The door: a file that was declared as PKCS#12 goes in, its contents or the reason why not come out."""

from typing import Final

from services.secrets.certificates.contents import Contents
from services.secrets.certificates.encodings.armor import PemFault
from services.secrets.certificates.encodings.outline import shape_of
from services.secrets.certificates.encodings.transfer import Opened
from services.secrets.certificates.formats.other_kind import (
    Declared,
    no_such_structure,
    other_kind,
    refused,
)
from services.secrets.certificates.formats.pem import blocks_of
from services.secrets.certificates.formats.pkcs12 import refusals
from services.secrets.certificates.formats.pkcs12.structure import read_pfx
from services.secrets.certificates.formats.pkcs12.unpacking import unpack
from services.secrets.certificates.keys.encryption import Budget, EncryptionRefused, TooMuchWork

_PKCS12: Final = Declared(
    "a PKCS#12 file",
    "With certificate_type 'pfx' or 'p12' send base64 of the .pfx or .p12 file.",
)
_SHAPE: Final = "pkcs12"
_LABEL: Final = "PKCS12"
"""In which certtool of GnuTLS writes it."""


def read_pkcs12(opened: Opened, passphrase: bytes | None, budget: Budget) -> Contents:
    """All X.509 certificates and private keys of the file, in its order.

    Revocation lists, other secrets and attributes are kept in the file and not looked at.
    Raises CertificateRefused.
    """
    data = _data(opened)
    try:
        return unpack(read_pfx(data), passphrase, budget)
    except TooMuchWork as refusal:
        raise refusals.too_dear(str(refusal)) from None
    except EncryptionRefused as refusal:
        raise refusals.unsupported(str(refusal)) from None
    except (ValueError, IndexError):
        pass
    if shape_of(data) != _SHAPE:
        raise no_such_structure(_PKCS12, Opened(data=data))
    raise refusals.damaged()


def _data(opened: Opened) -> bytes:
    """The bytes of the file: as they came, or out of the one PEM block in which GnuTLS puts them."""
    if opened.data is not None:
        return opened.data
    blocks = blocks_of(opened)
    if [block.label for block in blocks] != [_LABEL]:
        raise other_kind(_PKCS12, opened, blocks)
    try:
        return blocks[0].decoded()
    except PemFault as fault:
        raise refused(fault.reason, fault.message) from None
